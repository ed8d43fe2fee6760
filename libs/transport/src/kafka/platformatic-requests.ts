import { setTimeout as sleep } from 'node:timers/promises';
import type * as platformatic from '@platformatic/kafka';
import { SinkError } from '../transport.errors.js';
import { type ProducerIdentity } from './kafka-producer-port.js';
import { type ProduceRequest, writeProduceRequest } from './produce-request.js';

type Client = typeof platformatic;
export type ProduceResponse = ReturnType<Client['produceV11']['parseResponse']>;

const PRODUCE_KEY = 0;
/** 9 (Kafka 2.8) to 11 have one request and one response; 12 needs nothing that we have, 13 wants topic ids. */
const PRODUCE_VERSIONS = { min: 9, max: 11 };
/** Of a transaction; we have none. */
const NO_TIMEOUT_MS = 60_000;
/** Said by a broker that has just been started, for as long as it asks the controller for ids to give away. */
const COORDINATOR_LOAD_IN_PROGRESS = 14;
const ID_POLL_MS = 20;
const ID_POLLS_MAX = 50;

/** The version to produce in. Throws `SinkError` `configuration` for brokers that know none of ours. */
export function produceVersionOf(apis: Awaited<ReturnType<platformatic.Admin['listApis']>>): number {
  const produce = apis.find((api) => api.apiKey === PRODUCE_KEY);
  const version = Math.min(produce?.maxVersion ?? 0, PRODUCE_VERSIONS.max);
  if (version < PRODUCE_VERSIONS.min) {
    throw new SinkError('configuration', 'The brokers are too old: Kafka 2.8 or later is needed.');
  }
  return version;
}

/** Sends one batch once, over this connection. */
export function produceOver(
  { Writer, produceV11 }: Client,
  connection: platformatic.Connection,
  version: number,
  request: ProduceRequest,
): Promise<ProduceResponse> {
  return new Promise((resolve, reject) => {
    connection.send<ProduceResponse>(
      PRODUCE_KEY,
      version,
      () => writeProduceRequest(Writer.create(), request),
      produceV11.parseResponse,
      true,
      true,
      (error, response) => {
        if (error !== null || response === undefined) {
          reject(error ?? new SinkError('unavailable', 'The client gave no answer to a Produce request.'));
        } else {
          resolve(response);
        }
      },
    );
  });
}

/** Asks for a producer id that nobody had before. Version 4 is Kafka 2.7's. */
export async function newProducerIdOver(
  { initProducerIdV4, ResponseError }: Client,
  connection: platformatic.Connection,
): Promise<ProducerIdentity> {
  for (let poll = 1; ; poll += 1) {
    try {
      const { producerId, producerEpoch } = await initProducerIdV4.api.async(connection, null, NO_TIMEOUT_MS, -1n, -1);
      return { producerId, producerEpoch };
    } catch (error) {
      const isLoading =
        error instanceof ResponseError && error.findBy('apiCode', COORDINATOR_LOAD_IN_PROGRESS) !== null;
      if (!isLoading || poll === ID_POLLS_MAX) {
        throw error;
      }
      await sleep(ID_POLL_MS);
    }
  }
}
