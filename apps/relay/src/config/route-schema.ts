import { SHARDS_MAX, type StartFrom } from '@millrace/capture';
import { toPosition } from '@millrace/events';
import { POISON_POLICIES } from '@millrace/relay';
import { z } from 'zod';
import { mapping, oneOf, texts, whole } from './config-values.js';
import { recordProblems, recordSettings } from './record-schema.js';

const FROM = 'give earliest, now or the number of a position (in quotes above 9007199254740991)';
const POSITION = /^\d{1,18}$/;

const HEADERS_MAX = 10;

const filter = mapping({
  aggregatetypes: texts((type) => type !== '', 'give a list of aggregate types, at least one').optional(),
  types: texts((type) => type !== '', 'give a list of event types, at least one').optional(),
  headers: z
    .record(
      z.string().min(1),
      texts(() => true, 'give a list of values, at least one'),
      {
        error: 'give a mapping from the name of a header to its wanted values',
      },
    )
    .refine((wanted) => Object.keys(wanted).length > 0 && Object.keys(wanted).length <= HEADERS_MAX, {
      error: `give 1 to ${HEADERS_MAX} headers`,
    })
    .optional(),
}).refine((conditions) => Object.values(conditions).some((condition) => condition !== undefined), {
  error: 'give at least one of: aggregatetypes, types, headers',
});

/** One route of the file. */
export const routeSchema = mapping({
  source: z.string({ error: 'give the name of one of the sources' }),
  sink: z.string({ error: 'give the name of one of the sinks' }),
  filter: filter.optional(),
  ...recordSettings,
  from: z
    .preprocess(
      toStartFrom,
      z.custom<StartFrom>((value) => value !== undefined, { error: FROM }),
    )
    .optional(),
  shards: whole(1, SHARDS_MAX).optional(),
  onPoison: oneOf(POISON_POLICIES).optional(),
  held: mapping({
    events: whole(1, 10_000_000).optional(),
    bytes: whole(1_024, 1_000_000_000_000).optional(),
  }).optional(),
  batch: mapping({ records: whole(1, 1_000).optional(), bytes: whole(1_024, 1_000_000).optional() }).optional(),
}).check(({ value, issues }) => {
  for (const problem of recordProblems(value)) {
    issues.push({ code: 'custom', input: value, ...problem });
  }
});

function toStartFrom(value: unknown): StartFrom | undefined {
  if (value === 'earliest' || value === 'now') {
    return { kind: value };
  }
  const isNumber = typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
  return isNumber || (typeof value === 'string' && POSITION.test(value))
    ? { kind: 'position', position: toPosition(value) }
    : undefined;
}
