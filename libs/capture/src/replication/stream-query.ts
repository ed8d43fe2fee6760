import type pg from 'pg';
import { CaptureError } from '../capture.errors.js';

/**
 * The running START_REPLICATION as node-postgres sees it: a query of an own kind, which gets what the server sends until
 * the connection ends. The client calls the methods by name.
 */
export class StreamQuery implements pg.Submittable {
  constructor(
    private readonly command: string,
    private readonly onFrame: (frame: Buffer) => void,
    private readonly onEnd: (error: Error) => void,
  ) {}

  submit(connection: pg.Connection): void {
    connection.query(this.command);
  }

  handleCopyData(message: { readonly chunk: Buffer }): void {
    this.onFrame(message.chunk);
  }

  /** Also called for a connection that broke. */
  handleError(error: Error): void {
    this.onEnd(error);
  }

  /** The server has nothing more to send: it shuts down. */
  handleCommandComplete(): void {
    this.onEnd(
      new CaptureError('database_unavailable', 'The database ended the replication stream, as it does at a shutdown.'),
    );
  }

  handleReadyForQuery(): void {
    // the end was told by what came before it
  }
}
