import { createHash } from 'node:crypto';

/** The publication that every route of a database reads; the owner of schema `millrace` has it, not the relay. */
export const PUBLICATION_NAME = 'millrace';

const ROUTE_CHARACTERS_MAX = 30;

/** Which route of which database a slot belongs to. Slot names belong to the whole cluster. */
export interface SlotOwner {
  readonly route: string;
  /** The oid of the database: it outlives a rename, and a standby has the same. */
  readonly databaseOid: string;
}

/**
 * What the names of all slots of a route begin with: `millrace_<route>_<hash>_`. The route is there for the reader
 * (lower case, anything else than letters and digits as `_`, cut at 30 characters); the hash of the database and of the
 * whole name of the route keeps two routes, and two databases of one server, apart.
 */
export function slotPrefix({ route, databaseOid }: SlotOwner): string {
  const readable = route
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '_')
    .slice(0, ROUTE_CHARACTERS_MAX);
  return `millrace_${readable}_${hash(`${databaseOid}/${route}`)}_`;
}

/**
 * The name of the slot that a route has to use, at most 57 characters of the 63 that PostgreSQL allows. It ends with a
 * hash of what the publication was when the slot was made. A slot sees only what was published when it was written: one
 * that is older than the publication in its present form may pass over events in silence, and its name tells. The name
 * is the record that survives with the slot: through a crash, and over to a standby.
 */
export function slotName(owner: SlotOwner, publicationForm: string): string {
  return slotPrefix(owner) + hash(publicationForm);
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
