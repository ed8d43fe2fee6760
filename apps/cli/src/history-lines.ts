import { type LeafState, type LeafStatus, type RetentionStatus, type RouteRetention } from '@millrace/capture';

/** States of leaves that are told as a number only. */
const COUNTED = ['emptied', 'empty', 'ahead'] as const;

/** The whole history, a line for each leaf with rows and for each route. */
export function historyLines(status: RetentionStatus): string {
  const { leaves, leavesTotal, defaultPartition, routes } = status;
  const counted = COUNTED.map((state) => `${leaves.filter((leaf) => leaf.state === state).length} ${state}`).join(', ');
  const listed = leaves.filter(({ state }) => !COUNTED.some((other) => other === state));
  const oldest = status.oldestAgeMs === null ? 'no rows' : `oldest row ${ageText(status.oldestAgeMs)}`;
  return [
    `Outbox of ${sizeText(status.bytes)}, ${oldest}, last position ${status.lastPosition}.`,
    `${leavesTotal} leaves: ${listed.length} with rows, ${counted}.`,
    ...[...listed, ...(defaultPartition === null ? [] : [defaultPartition])].map(leafLine),
    ...routes.map(routeLine),
    '',
  ].join('\n');
}

/** The same as one JSON object; numbers of 64 bits as text. */
export function historyJson(status: RetentionStatus): string {
  const text = JSON.stringify(status, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  return `${text}\n`;
}

function leafLine({ state, table, lo, last, rows, bytes, newestAgeMs, route }: LeafStatus): string {
  const range = lo === 0n ? `up to ${last}` : `${lo} to ${last}`;
  const newest = newestAgeMs === null ? '' : `, newest ${ageText(newestAgeMs)}`;
  return `${state.padEnd(16)} ${table} ${range}: about ${rows} rows, ${sizeText(bytes)}${newest}${waitsFor(state, route)}`;
}

function waitsFor(state: LeafState, route: string | null): string {
  if (route !== null) {
    return `, for route ${route}`;
  }
  return state === 'held' ? ', until the next row is read: nothing came of its last positions' : '';
}

function routeLine({ route, low, isExpired, leaves, bytes, positions, ageMs }: RouteRetention): string {
  const held =
    leaves === 0
      ? 'holds nothing up'
      : `holds ${leaves} ${leaves === 1 ? 'leaf' : 'leaves'} up: ${positions} positions, ${sizeText(bytes)}, ${ageText(ageMs)}`;
  return `route ${route} has settled up to ${low} and ${isExpired ? 'has expired: millrace retention let-go-on' : held}`;
}

function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const step = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${rounded(bytes / 1024 ** step)} ${units[step] ?? 'B'}`;
}

function ageText(ms: number): string {
  const seconds = ms / 1_000;
  if (seconds < 120) {
    return `${rounded(seconds)} s old`;
  }
  return seconds < 7_200
    ? `${rounded(seconds / 60)} min old`
    : seconds < 172_800
      ? `${rounded(seconds / 3_600)} h old`
      : `${rounded(seconds / 86_400)} d old`;
}

function rounded(value: number): number {
  return value < 10 ? Math.round(value * 10) / 10 : Math.round(value);
}
