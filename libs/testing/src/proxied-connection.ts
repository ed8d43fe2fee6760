import { connect, type Socket } from 'node:net';
import { type LinkFault } from './link-fault.js';
import { LinkPipe } from './link-pipe.js';
import { readStartup, type StartupParameters } from './startup-packet.js';

/** What tells one connection from another. */
export interface LinkClient {
  /** 1, 2, 3 ... in the order in which they came. */
  readonly number: number;
  /**
   * `replication`: a connection on which PostgreSQL streams WAL. `unknown`: a client of PostgreSQL that has not said yet
   * what it wants. All others, and all that do not talk to PostgreSQL, are `plain`.
   */
  readonly kind: 'unknown' | 'plain' | 'replication';
  /** Of a PostgreSQL session: `user`, `database`, `application_name`, `replication` and others; otherwise empty. */
  readonly parameters: StartupParameters;
}

/** What a connection is made of. */
export interface ProxiedConnectionParts {
  readonly number: number;
  readonly client: Socket;
  readonly server: { readonly host: string; readonly port: number };
  /** The client begins with a startup packet of PostgreSQL and is to be known by it. */
  readonly isPostgres: boolean;
  readonly random: () => number;
  readonly faultFor: (client: LinkClient) => LinkFault;
  readonly closed: () => void;
}

/** A client, the connection to the server that was made for it, and both directions between them. */
export class ProxiedConnection implements LinkClient {
  readonly number: number;
  kind: LinkClient['kind'];
  parameters: StartupParameters = {};
  private readonly server: Socket;
  private readonly toServer: LinkPipe;
  private readonly toClient: LinkPipe;
  private begun: Buffer = Buffer.alloc(0);
  private openSockets = 2;

  constructor(private readonly parts: ProxiedConnectionParts) {
    const { client, random, isPostgres } = parts;
    this.number = parts.number;
    this.kind = isPostgres ? 'unknown' : 'plain';
    this.server = connect({ ...parts.server, allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    const reset = (): void => {
      this.reset();
    };
    this.toServer = new LinkPipe({ from: client, to: this.server, direction: 'to-server', random, reset });
    this.toClient = new LinkPipe({ from: this.server, to: client, direction: 'to-client', random, reset });
    client.on('data', (bytes) => {
      this.fromClient(bytes);
    });
    this.server.on('data', (bytes) => {
      this.toClient.take(bytes);
    });
    client.on('close', this.socketClosed);
    this.server.on('close', this.socketClosed);
    this.faultsChanged();
  }

  faultsChanged(): void {
    const fault = this.parts.faultFor(this);
    this.toServer.set(fault);
    this.toClient.set(fault);
  }

  /** RST to both sides, at once. */
  reset(): void {
    this.toServer.close();
    this.toClient.close();
    this.parts.client.resetAndDestroy();
    this.server.resetAndDestroy();
  }

  private readonly socketClosed = (): void => {
    this.openSockets -= 1;
    if (this.openSockets === 0) {
      this.toServer.close();
      this.toClient.close();
      this.parts.closed();
    }
  };

  private fromClient(bytes: Buffer): void {
    if (this.kind === 'unknown') {
      this.identify(Buffer.concat([this.begun, bytes]));
    } else {
      this.toServer.take(bytes);
    }
  }

  private identify(bytes: Buffer): void {
    const reading = readStartup(bytes);
    if (reading.kind === 'more') {
      this.begun = bytes;
      return;
    }
    this.begun = Buffer.alloc(0);
    if (reading.kind !== 'request') {
      this.parameters = reading.kind === 'startup' ? reading.parameters : {};
      this.kind = isReplication(this.parameters) ? 'replication' : 'plain';
      this.faultsChanged();
    }
    this.toServer.take(bytes);
  }
}

function isReplication({ replication = 'false' }: StartupParameters): boolean {
  return !['false', 'off', 'no', '0'].includes(replication);
}
