import { type RowWorld } from './row-world.js';

/** A write of a route's ledger as the database saw it, on its clock. */
const HISTORY_SQL = `create table ledger_history (
  n bigint generated always as identity primary key, at timestamptz not null default clock_timestamp(),
  route text not null, epoch bigint not null, owner text, low bigint not null, high bigint not null
);
create function note_ledger() returns trigger language plpgsql security definer as $$
begin
  insert into public.ledger_history (route, epoch, owner, low, high)
  values (new.route, new.epoch, new.owner, new.low, new.high);
  return null;
end $$;
create trigger note after insert or update on millrace.ledger for each row execute function note_ledger()`;

const GONE_BACK_SQL = `select route, n::int as n, before_epoch::text || ' to ' || epoch as epochs, before_low::text || ' to ' || low as lows
from (
  select *, lag(epoch) over w as before_epoch, lag(low) over w as before_low, lag(high) over w as before_high
  from ledger_history window w as (partition by route order by n)
) h where epoch < before_epoch or low < before_low or high < before_high order by n limit 3`;

const CLAIMS_SQL = 'select route, owner, epoch::text as epoch from millrace.ledger order by route';

/** The take-over itself is a write of the ledger, too. $1 route, $2 epoch, $3 when. */
const AGAIN_SQL = `select (extract(epoch from min(h.at) - $3::timestamptz) * 1000)::float as ms
from ledger_history h, (
  select high from ledger_history where route = $1 and epoch > $2 order by n limit 1
) taken where h.route = $1 and h.epoch > $2 and h.high > taken.high`;

/** Who ran which route at some moment. */
export interface RouteClaim {
  readonly route: string;
  readonly owner: string | null;
  readonly epoch: string;
}

/** All writes of the ledgers from now on, and what must hold of them: nothing that is settled becomes unsettled again. */
export class LedgerHistory {
  private constructor(private readonly world: RowWorld) {}

  static async begin(world: RowWorld): Promise<LedgerHistory> {
    await world.query(HISTORY_SQL);
    return new LedgerHistory(world);
  }

  /** Who runs the routes now. */
  async claims(): Promise<readonly RouteClaim[]> {
    return this.world.query<RouteClaim>(CLAIMS_SQL);
  }

  /** The database's time. */
  async now(): Promise<string> {
    const [row] = await this.world.query<{ now: string }>('select clock_timestamp()::text as now');
    return row?.now ?? '';
  }

  /**
   * Milliseconds on the database's clock from `since` until somebody else than the claim's owner had published something
   * of its route; `undefined` when it took longer than `withinMs`.
   */
  async publishedAgain(claim: RouteClaim, since: string, withinMs: number): Promise<number | undefined> {
    const found: { ms: number | null } = { ms: null };
    await this.world.holds(withinMs, async () => {
      const [row] = await this.world.query<{ ms: number | null }>(AGAIN_SQL, [claim.route, claim.epoch, since]);
      found.ms = row?.ms ?? null;
      return found.ms !== null;
    });
    return found.ms ?? undefined;
  }

  /** A relay that had lost a route changed nothing of it. */
  async check(): Promise<void> {
    for (const { route, n, epochs, lows } of await this.world.query<GoneBack>(GONE_BACK_SQL)) {
      this.world.found('epoch', `write ${n} of the ledger of ${route} went back: epoch ${epochs}, low ${lows}`);
    }
  }
}

interface GoneBack {
  readonly route: string;
  readonly n: number;
  readonly epochs: string;
  readonly lows: string;
}
