import { readFile } from 'node:fs/promises';
import { SinkError } from '../transport.errors.js';
import { type KafkaConnection, type KafkaSasl, type KafkaTls } from './kafka-config.js';

/** PEM texts. */
export interface KafkaTlsMaterial {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly rejectUnauthorized: boolean;
}

/** Who we are, as a client takes it: a token that is kept in a file is read again whenever it is asked for. */
export type ClientLogin = Exclude<KafkaSasl, { readonly tokenPath: string }>;

/** A connection with its certificates read and its brokers in the order to try. */
export interface ConnectionSettings {
  readonly brokers: readonly string[];
  readonly tls?: KafkaTlsMaterial;
  readonly sasl?: ClientLogin;
}

/** Made anew for each client, so that a certificate that was replaced is taken up with the next connection. */
export async function connectionSettings({ brokers, tls, sasl }: KafkaConnection): Promise<ConnectionSettings> {
  return {
    brokers: rotated(brokers),
    ...(tls && { tls: await readTls(tls) }),
    ...(sasl && { sasl: 'tokenPath' in sasl ? await loginByFile(sasl.tokenPath) : sasl }),
  };
}

/** Instances begin at different brokers, and a new client after a failure probably at another one. */
export function rotated(brokers: readonly string[]): readonly string[] {
  const first = Math.floor(Math.random() * brokers.length);
  return [...brokers.slice(first), ...brokers.slice(0, first)];
}

/** What is missing at the beginning is a mistake; later the file may just be being replaced. */
async function loginByFile(path: string): Promise<ClientLogin> {
  await readToken(path, 'configuration');
  return { mechanism: 'OAUTHBEARER', token: () => readToken(path, 'unavailable') };
}

async function readToken(path: string, code: 'configuration' | 'unavailable'): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const token = text.trim();
  if (token === '') {
    throw new SinkError(code, `The token for Kafka cannot be read from ${path}: give a file that holds it alone.`);
  }
  return token;
}

async function readTls({ caPath, certPath, keyPath, rejectUnauthorized }: KafkaTls): Promise<KafkaTlsMaterial> {
  const [ca, cert, key] = await Promise.all([
    readPem(caPath, 'certificate authority'),
    readPem(certPath, 'client certificate'),
    readPem(keyPath, 'client key'),
  ]);
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    rejectUnauthorized: rejectUnauthorized ?? true,
  };
}

async function readPem(path: string | undefined, what: string): Promise<string | undefined> {
  if (path === undefined) {
    return undefined;
  }
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new SinkError('configuration', `The ${what} for Kafka cannot be read from ${path}: give a PEM file.`, {
      cause: error,
    });
  }
}
