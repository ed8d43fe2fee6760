import { type Position } from '@millrace/events';
import { type PgConnection } from '../pg-connection.js';
import { addToCounts, type LeafCount, type LeafCountStep, LeafMap } from './leaf-counts.js';

/** `order by lo` alone would mean the text of the select list. */
const LEAVES_SQL = `select l.lo::text as lo, l.hi::text as hi from millrace.outbox_leaf l order by l.lo`;

/** The counters of a claimed route between its ledger writes, of which each takes one step. */
export class RouteCounts {
  private leaves: LeafMap | null = null;

  /** `stored` is what the ledger row has; rows below `countedFrom` are not counted. */
  constructor(
    private readonly connection: PgConnection,
    private readonly countedFrom: bigint,
    private stored: LeafCount,
  ) {}

  /** What the next write does to the counters; `taken` are its rows. Reads the leaves only when they may have changed. */
  async stepFor(taken: readonly (readonly Position[])[]): Promise<LeafCountStep> {
    const last = taken.reduce((highest, page) => {
      const position = page[page.length - 1] ?? 0n;
      return position > highest ? position : highest;
    }, 0n);
    const counts = new Map<bigint, bigint>();
    if (last >= this.countedFrom) {
      const leaves = this.leaves === null || last >= this.leaves.end ? await this.readLeaves() : this.leaves;
      for (const page of taken) {
        leaves.count(page, this.countedFrom, counts);
      }
    }
    return addToCounts(this.stored, counts);
  }

  /** The step is in the database. */
  written(step: LeafCountStep): void {
    this.stored = step.current;
  }

  private async readLeaves(): Promise<LeafMap> {
    const rows = await this.connection.records({ text: LEAVES_SQL, name: 'millrace_leaves' });
    this.leaves = new LeafMap(rows.map(({ lo, hi }) => ({ lo: BigInt(lo ?? 0), hi: BigInt(hi ?? 0) })));
    return this.leaves;
  }
}
