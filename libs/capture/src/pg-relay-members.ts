import { CaptureError } from './capture.errors.js';
import { type PgConnection, type Statement, type TextColumns } from './pg-connection.js';
import { JOIN_SQL, LEAVE_SQL } from './relay-member.sql.js';
import { type JoinRequest, type RelayMember } from './relay-member.js';

/** The presence of relays in a source's database, over one connection that is made when it is needed and kept. */
export class PgRelayMembers {
  private connection: PgConnection | null = null;

  /** `source` is its name; `open` gives a new connection, and `check` is its first use. */
  constructor(
    private readonly source: string,
    private readonly open: () => PgConnection,
    private readonly check: (connection: PgConnection) => Promise<void>,
  ) {}

  async join({ owner, ttlMs, configVersion, wants, stopped }: JoinRequest): Promise<readonly RelayMember[]> {
    const rows = await this.run({ text: JOIN_SQL, values: [owner, ttlMs, configVersion, wants, stopped, this.source] });
    return rows.map(memberOf);
  }

  /** Closes the connection in any case. */
  async leave(owner: string): Promise<void> {
    try {
      await this.run({ text: LEAVE_SQL, values: [owner, this.source] });
    } finally {
      const { connection } = this;
      this.connection = null;
      await connection?.close();
    }
  }

  private async run(statement: Statement): Promise<readonly TextColumns[]> {
    const known = this.connection;
    const connection = known ?? this.open();
    this.connection = connection;
    try {
      if (known === null) {
        await this.check(connection);
      }
      return await connection.records(statement);
    } catch (error) {
      if (this.connection === connection) {
        this.connection = null;
      }
      await connection.close();
      throw error;
    }
  }
}

function memberOf(row: TextColumns): RelayMember {
  return {
    owner: row['owner'] ?? '',
    configVersion: row['config_version'] ?? '',
    memberForMs: Number(row['member_for_ms'] ?? 0),
    wants: namesOf(row['wants']),
    stopped: namesOf(row['stopped']),
  };
}

function namesOf(column: string | null | undefined): readonly string[] {
  const names: unknown = JSON.parse(column ?? '[]');
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) {
    return names;
  }
  throw new CaptureError('internal', 'A member row came back without a list of route names.');
}
