import { type StoredLaneOffset } from '@millrace/capture';
import { type TailEnd } from '@millrace/transport';
import { type RouteProblem } from '../route-state.js';

/** Beyond so many, lanes are counted and not named. */
const NAMED_MAX = 6;

/**
 * What the ledger takes for stored is not there any more: the problem that stops the route. `noted` has the lanes as the
 * ledger knows them, by `topic/partition`.
 */
export function lostLanes(
  route: string,
  lost: readonly TailEnd[],
  noted: ReadonlyMap<string, StoredLaneOffset>,
): RouteProblem {
  const [replaced, cut] = [lost.filter(({ kind }) => kind === 'replaced'), lost.filter(({ kind }) => kind === 'cut')];
  const reasons = [
    ...(replaced.length > 0
      ? [
          `${named(replaced.map(nameOf))}: the topic was deleted, or made anew under the same name, since the route last ` +
            'published to it',
        ]
      : []),
    ...(cut.length > 0
      ? [
          `${named(cut.map((end) => `${nameOf(end)} ends at ${endOf(end)}, ${noted.get(nameOf(end))?.nextOffset ?? 'more'} were acknowledged`))}: ` +
            'the log was cut, as by an unclean leader election',
        ]
      : []),
  ];
  const message =
    `Route ${route}: what its ledger takes for published is gone. ${reasons.join('; ')}. Replay what consumers still ` +
    'need: millrace.checkpoint has the positions that were settled below each offset. Then resume the route: it takes ' +
    'these lanes as they are now.';
  return { side: 'relay', code: replaced.length > 0 ? 'topic_replaced' : 'log_cut', message };
}

function nameOf({ topic, partition }: TailEnd): string {
  return `${topic}/${partition}`;
}

function endOf(end: TailEnd): string {
  return end.kind === 'cut' ? String(end.end) : '';
}

function named(lanes: readonly string[]): string {
  const more = lanes.length - NAMED_MAX;
  return more > 0 ? `${lanes.slice(0, NAMED_MAX).join(', ')} and ${more} more` : lanes.join(', ');
}
