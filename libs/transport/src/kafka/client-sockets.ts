import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type KafkaTlsMaterial } from './client-settings.js';

/** The sockets of a client that does not end them itself when they are dead: made here, so that they can be ended here. */
export class ClientSockets {
  readonly #open = new Set<Socket>();
  #isClosed = false;

  constructor(private readonly tls: KafkaTlsMaterial | undefined) {}

  /** Throws once closed: a client that reconnects by itself would leave a socket behind. */
  open(host: string, port: number, onConnect: () => void): Socket {
    if (this.#isClosed) {
      throw new Error('The connection was closed from this side.');
    }
    const socket = this.tls
      ? connectTls({ host, port, ...(isIP(host) === 0 && { servername: host }), ...this.tls }, onConnect)
      : connectTcp({ host, port }, onConnect);
    socket.setNoDelay(true);
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    return socket;
  }

  /** With an error, because the client listens for one, and not for the end of a socket. */
  close(): void {
    this.#isClosed = true;
    for (const socket of this.#open) {
      socket.destroy(new Error('The connection was closed from this side.'));
    }
  }
}
