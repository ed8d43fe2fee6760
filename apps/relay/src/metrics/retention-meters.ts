import { type ArchivedLeaf, type LeafEmptied, type RouteExpired } from '@millrace/capture';
import { Counter, type Registry } from 'prom-client';
import { LEAVES_ARCHIVED, LEAVES_EMPTIED, ROUTES_EXPIRED, ROWS_REMOVED, RUNS } from './retention-metrics.js';

/** Counts what retention does. */
export class RetentionMeters {
  private readonly emptied;
  private readonly rows;
  private readonly archived;
  private readonly expired;
  private readonly runs;

  constructor(registry: Registry) {
    const registers = [registry];
    this.emptied = new Counter({ ...LEAVES_EMPTIED, registers });
    this.rows = new Counter({ ...ROWS_REMOVED, registers });
    this.archived = new Counter({ ...LEAVES_ARCHIVED, registers });
    this.expired = new Counter({ ...ROUTES_EXPIRED, registers });
    this.runs = new Counter({ ...RUNS, registers });
  }

  leafEmptied({ source, rows }: LeafEmptied): void {
    this.emptied.inc({ source });
    this.rows.inc({ source }, rows);
  }

  leafArchived({ source }: ArchivedLeaf): void {
    this.archived.inc({ source });
  }

  routeExpired({ source }: RouteExpired): void {
    this.expired.inc({ source });
  }

  ran({ source, code }: { readonly source: string; readonly code: string }): void {
    this.runs.inc({ source, code });
  }
}
