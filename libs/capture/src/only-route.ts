import { HEADER } from '@millrace/events';

const NAME = `"${HEADER.onlyRoute}": `;

/**
 * Whether the row of these headers, as printed by PostgreSQL, is for the route: a copy that the repair of a fork has made
 * is for one route alone, since others may have published the event under its first position. Nothing is parsed for rows
 * that are not such a copy.
 */
export function isForRoute(headers: string | null, route: string): boolean {
  if (headers === null || !headers.includes(NAME)) {
    return true;
  }
  const { [HEADER.onlyRoute]: only } = JSON.parse(headers) as Readonly<Record<string, unknown>>;
  return only === undefined || only === route;
}
