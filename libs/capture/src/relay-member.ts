/** A relay that works on a source, as the source's database knows it. */
export interface RelayMember {
  readonly owner: string;
  /** Tells whether two relays run the same routes. */
  readonly configVersion: string;
  /** From when it joined to its last sign of life, on the database's clock. */
  readonly memberForMs: number;
  /** Routes that it should run and another relay has. */
  readonly wants: readonly string[];
  /** Routes that it has stopped until a person resumes them. */
  readonly stopped: readonly string[];
}

/** A relay's presence, to be renewed before `ttlMs` is over. */
export interface JoinRequest extends Omit<RelayMember, 'memberForMs'> {
  readonly ttlMs: number;
}
