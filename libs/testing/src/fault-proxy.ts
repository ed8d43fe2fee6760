import { createServer, type Server, type Socket } from 'node:net';
import { freePort } from './free-port.js';
import { type LinkFault, PASS } from './link-fault.js';
import { type LinkClient, ProxiedConnection } from './proxied-connection.js';

/** Which connections are meant: all, those of one kind, or those that a test picks by what tells them apart. */
export type WhichLinks = 'all' | LinkClient['kind'] | ((client: LinkClient) => boolean);

/** In front of what a proxy stands. */
export interface FaultProxyOptions {
  readonly target: { readonly host?: string | undefined; readonly port: number };
  /** `postgres`: connections are told apart by their startup packets (without TLS). */
  readonly protocol: 'postgres' | 'any';
  /** Where it listens on 127.0.0.1; a free one is taken when this is left out. */
  readonly port?: number | undefined;
  /** 0 up to 1, for the jitter; `Math.random` when this is left out. */
  readonly random?: (() => number) | undefined;
}

interface Rule {
  readonly which: WhichLinks;
  readonly fault: LinkFault;
}

/**
 * A TCP proxy on 127.0.0.1 that passes bytes on untouched until it is told to do something to its connections: to those
 * that are open and to those that come. Order within a direction is never changed.
 */
export class FaultProxy {
  private readonly connections = new Set<ProxiedConnection>();
  private readonly server: Server;
  private rules: readonly Rule[] = [];
  private accepted = 0;

  private constructor(
    private readonly options: FaultProxyOptions,
    /** Where it listens on 127.0.0.1. */
    readonly port: number,
  ) {
    this.server = createServer({ allowHalfOpen: true }, (client) => {
      this.accept(client);
    });
  }

  /** Resolves when it listens. */
  static async start(options: FaultProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(options, options.port ?? (await freePort()));
    await new Promise<void>((resolve, reject) => {
      proxy.server.once('error', reject);
      proxy.server.listen(proxy.port, '127.0.0.1', resolve);
    });
    return proxy;
  }

  /** The same URL, by way of the proxy. */
  through(url: string): string {
    const changed = new URL(url);
    changed.host = `127.0.0.1:${this.port}`;
    return changed.toString();
  }

  /**
   * Does this to the connections that are meant, until it is set again. What was set for a part of them goes before what
   * was set earlier; what is set for all of them replaces everything.
   */
  set(fault: LinkFault, which: WhichLinks = 'all'): void {
    const others = which === 'all' ? [] : this.rules.filter((rule) => rule.which !== which);
    this.rules = [{ which, fault }, ...others];
    for (const connection of this.connections) {
      connection.faultsChanged();
    }
  }

  /** Everything passes. What was dropped stays lost, and what a black hole has kept arrives. */
  heal(): void {
    this.set(PASS);
  }

  /** Resets the open connections that are meant, on both sides; returns how many there were. */
  reset(which: WhichLinks = 'all'): number {
    const meant = this.links(which);
    meant.forEach((connection) => {
      connection.reset();
    });
    return meant.length;
  }

  /** The open connections that are meant. */
  open(which: WhichLinks = 'all'): readonly LinkClient[] {
    return this.links(which);
  }

  /** Resets all connections and listens no more. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.server.close(() => {
        resolve();
      });
    });
    this.reset();
    await closed;
  }

  private links(which: WhichLinks): ProxiedConnection[] {
    return [...this.connections].filter((connection) => isMeant(which, connection));
  }

  private accept(client: Socket): void {
    const { target, protocol, random = Math.random } = this.options;
    this.accepted += 1;
    const connection = new ProxiedConnection({
      number: this.accepted,
      client,
      server: { host: target.host ?? '127.0.0.1', port: target.port },
      isPostgres: protocol === 'postgres',
      random,
      faultFor: (link) => this.rules.find(({ which }) => isMeant(which, link))?.fault ?? PASS,
      closed: () => {
        this.connections.delete(connection);
      },
    });
    this.connections.add(connection);
  }
}

function isMeant(which: WhichLinks, link: LinkClient): boolean {
  return typeof which === 'function' ? which(link) : which === 'all' || which === link.kind;
}
