import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';

import { type NestApplicationOptions } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { type Express } from 'express';

/** How long a caller may take to send its request, and how often that is looked at. Milliseconds. */
export interface RequestTimes {
  readonly headersTimeout: number;
  /** Headers and body together. */
  readonly requestTimeout: number;
  readonly connectionsCheckingInterval: number;
}

/** A caller that has not sent its headers in 10 s, its whole request in 30 s, is cut off at most 5 s later. */
export const REQUEST_TIMES: RequestTimes = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 5_000,
};

/**
 * Nest on Express with the times of its server. Nest hands no options to a server without TLS, and the checking
 * interval, 30 s by Node's default, can only be given when a server is made.
 */
export class TimedExpressAdapter extends ExpressAdapter {
  constructor(private readonly times: RequestTimes = REQUEST_TIMES) {
    super();
  }

  override initHttpServer({ httpsOptions }: NestApplicationOptions): void {
    const handler = this.getInstance<Express>();
    this.httpServer =
      httpsOptions === undefined
        ? createServer({ ...this.times }, handler)
        : createTlsServer({ ...httpsOptions, ...this.times }, handler);
  }
}
