import { z } from 'zod';

/** A rule that the stored state of a service keeps at every instant, as a query that an operator could run too. */
export interface InvariantCheck {
  /** In kebab-case, as the report and docs/SPEC.md name it. */
  readonly name: string;
  /** The rule as a sentence. */
  readonly rule: string;
  /**
   * One statement without parameters that reads only and gives one row: `holds` (boolean), and the numbers that it
   * compared, each a bigint, numeric, integer or text column with a whole number. A column `offenders` (text array),
   * where it has one, names what breaks the rule, the worst first; the statement bounds it.
   */
  readonly sql: string;
  /** A table outside of the service's own that it reads: a role without the right to it leaves the rule unchecked. */
  readonly reads?: string;
}

/** What `GET /invariants` of a service tells. */
export interface ServiceInvariants {
  /** One statement that gives one row with one column `figures` (json), which `schema` describes. */
  readonly figures: { readonly schema: z.ZodType; readonly sql: string };
  readonly checks: readonly InvariantCheck[];
}

const checkedSchema = z.object({
  name: z.string(),
  rule: z.string(),
  holds: z.boolean().nullable().describe('null: unchecked, as the database user may not read what it needs'),
  numbers: z.record(z.string(), z.string()).describe('what was compared, as decimal text'),
  offenders: z.array(z.string()).optional().describe('ids of what breaks the rule, the worst first; not all of many'),
});

/** A rule, whether it holds, and the numbers behind that. */
export type CheckedInvariant = z.infer<typeof checkedSchema>;

/** The answer of `GET /invariants`: everything in it is of one snapshot of the database. */
// eslint-disable-next-line @typescript-eslint/explicit-module-boundary-types -- the schema is the type
export function invariantReportSchema<Figures extends z.ZodType>(figures: Figures) {
  return z.object({
    service: z.string(),
    checkedAt: z.string().describe("the database's clock"),
    holds: z.boolean().describe('false when a rule that was checked is broken'),
    figures,
    invariants: z.array(checkedSchema),
  });
}

/** The answer of `GET /invariants`. */
export interface InvariantReport<Figures = unknown> {
  readonly service: string;
  readonly checkedAt: string;
  readonly holds: boolean;
  readonly figures: Figures;
  readonly invariants: readonly CheckedInvariant[];
}
