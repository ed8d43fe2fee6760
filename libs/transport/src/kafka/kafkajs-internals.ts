import type { SASLOptions } from 'kafkajs';
import { type Socket } from 'node:net';
import { SinkError } from '../transport.errors.js';
import { type KafkaTlsMaterial } from './client-settings.js';

/** Of kafkajs, its pool of two connections to a broker: one for Fetch, one for all else. */
export interface KafkajsPool {
  send(exchange: KafkajsExchange): Promise<Buffer>;
}

/** A request with what reads its answer, as kafkajs wants them. */
export interface KafkajsExchange {
  readonly request: {
    readonly apiKey: number;
    readonly apiName: string;
    readonly apiVersion: number;
    readonly encode: () => Promise<{ readonly buf: Buffer; readonly buffer: Buffer }>;
  };
  readonly response: {
    readonly decode: (payload: Buffer) => Promise<Buffer>;
    readonly parse: (payload: Buffer) => Promise<Buffer>;
  };
}

/** Of kafkajs, what connects a pool: asks for versions, then logs in. */
export interface KafkajsBroker {
  connect(): Promise<void>;
}

export interface KafkajsPoolOptions {
  readonly host: string;
  readonly port: number;
  readonly logger: unknown;
  readonly clientId: string;
  readonly connectionTimeout: number;
  readonly requestTimeout: number;
  /** False: no timer that looks ten times a second for requests that are late. */
  readonly enforceRequestTimeout: false;
  readonly socketFactory: (to: { host: string; port: number; onConnect: () => void }) => Socket;
  readonly ssl?: KafkaTlsMaterial;
  readonly sasl?: SASLOptions;
}

export interface KafkajsBrokerOptions {
  readonly connectionPool: KafkajsPool;
  readonly logger: unknown;
  readonly authenticationTimeout: number;
  readonly allowAutoTopicCreation: false;
}

export interface KafkajsInternals {
  readonly Pool: new (options: KafkajsPoolOptions) => KafkajsPool;
  readonly Broker: new (options: KafkajsBrokerOptions) => KafkajsBroker;
}

/**
 * The connections of kafkajs 2.2, which it does not export. Throws `SinkError` `configuration` where they are not as they
 * were in 2.2.4, the last release.
 */
export function kafkajsInternals(require: NodeJS.Require): KafkajsInternals {
  const Pool: unknown = require('kafkajs/src/network/connectionPool');
  const Broker: unknown = require('kafkajs/src/broker');
  if (!has(Pool, 'send') || !has(Broker, 'connect')) {
    throw new SinkError('configuration', 'The package kafkajs is not as it was in 2.2.4: npm install kafkajs@2.2.4.');
  }
  return {
    Pool: Pool as KafkajsInternals['Pool'],
    Broker: Broker as KafkajsInternals['Broker'],
  };
}

function has(candidate: unknown, method: string): boolean {
  const prototype: unknown = typeof candidate === 'function' ? candidate.prototype : undefined;
  return typeof Reflect.get(Object(prototype), method) === 'function';
}
