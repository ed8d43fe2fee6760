/**
 * What a token may do. `viewer` sees metadata, `payload-viewer` also the events' payloads, `operator` pauses and
 * resumes but sees no payloads, `admin` may do all.
 */
export type Role = 'viewer' | 'payload-viewer' | 'operator' | 'admin';

/** Who asks: the name goes into the audit row. */
export interface Principal {
  readonly name: string;
  readonly role: Role;
}

const ALLOWS: Readonly<Record<Role, ReadonlySet<Role>>> = {
  viewer: new Set<Role>(['viewer']),
  'payload-viewer': new Set<Role>(['viewer', 'payload-viewer']),
  operator: new Set<Role>(['viewer', 'operator']),
  admin: new Set<Role>(['viewer', 'payload-viewer', 'operator', 'admin']),
};

/** True when the principal's role includes the one that an action demands. */
export function isAllowed(principal: Principal, demanded: Role): boolean {
  return ALLOWS[principal.role].has(demanded);
}
