import type { Message, SASLOptions } from 'kafkajs';
import { type KafkaSasl } from './kafka-config.js';
import { type KafkaBatch } from './kafka-producer-port.js';

/** Our login in the shape of kafkajs. */
export function saslOf(sasl: KafkaSasl): SASLOptions {
  if (sasl.mechanism === 'OAUTHBEARER') {
    const { token } = sasl;
    return {
      mechanism: 'oauthbearer',
      oauthBearerProvider: async () => ({ value: typeof token === 'string' ? token : await token() }),
    };
  }
  const { username, password } = sasl;
  switch (sasl.mechanism) {
    case 'PLAIN':
      return { mechanism: 'plain', username, password };
    case 'SCRAM-SHA-256':
      return { mechanism: 'scram-sha-256', username, password };
    case 'SCRAM-SHA-512':
      return { mechanism: 'scram-sha-512', username, password };
  }
}

/** Our records in the shape of kafkajs. */
export function messagesOf({ partition, records }: KafkaBatch): Message[] {
  return records.map(({ key, value, headers }) => ({ partition, key, value, headers: named(headers) }));
}

/** The client takes headers by name; a name that comes twice becomes a list. */
function named(headers: KafkaBatch['records'][number]['headers']): NonNullable<Message['headers']> {
  const byName = new Map<string, Buffer | Buffer[]>();
  for (const [name, value] of headers) {
    const text = name.toString();
    const before = byName.get(text);
    byName.set(text, before === undefined ? value : [before, value].flat());
  }
  return Object.fromEntries(byName);
}
