import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';

import { describe, expect, it } from '@jest/globals';
import { httpVariables } from '@millrace/http';
import { readServiceConfig, type ServiceDefinition, serviceVariables } from '@millrace/service';
import { parseKafkaEnv } from '@millrace/transport';

import { inventoryService } from '../apps/inventory/src/inventory.definition.js';
import { orderService } from '../apps/order/src/order.definition.js';
import { paymentService } from '../apps/payment/src/payment.definition.js';
import { readRelaySettings, RELAY_VARIABLES } from '../apps/relay/src/relay.config.js';

const SERVICES: readonly ServiceDefinition[] = [orderService, inventoryService, paymentService];

/** The text of each `# [section]`, with its optional variables switched on. */
function readSections(): Map<string, string> {
  const text = readFileSync(new URL('../.env.example', import.meta.url), 'utf8').replaceAll(/^#(?=[A-Z_]+=)/gm, '');
  const [, ...parts] = text.split(/^# \[(.+)\]$/m);
  return new Map(parts.flatMap((name, index) => (index % 2 === 0 ? [[name, parts[index + 1] ?? ''] as const] : [])));
}

const sections = readSections();
const variablesOf = (...names: string[]): NodeJS.Dict<string> =>
  parseEnv(names.map((name) => sections.get(name) ?? '').join('\n'));
const namesOf = (...names: string[]): string[] => Object.keys(variablesOf(...names)).toSorted();

/** PORT stands with each app, as its default differs. */
const everyApp = [
  ...Object.keys(httpVariables(0)).filter((name) => name !== 'PORT'),
  ...kafkaVariables(),
  'MILLRACE_KAFKA_CLIENT',
];

describe('.env.example', () => {
  it('has a section for each app, and no other', () => {
    const services = SERVICES.map(({ name }) => name);
    expect([...sections.keys()]).toEqual(['every app', 'every service', ...services, 'relay']);
  });

  it('names every variable that every app reads, and no other', () => {
    expect(namesOf('every app')).toEqual(everyApp.toSorted());
  });

  it.each(SERVICES)('names every variable of the $name service, and no other', (service) => {
    const read = [...Object.keys(serviceVariables(service).shape), ...kafkaVariables()];
    expect(namesOf('every app', 'every service', service.name)).toEqual(read.toSorted());
  });

  it.each(SERVICES)('shows the defaults of the $name service, or examples that it takes', (service) => {
    const shown = readServiceConfig(service, variablesOf('every app', 'every service', service.name));
    const { DATABASE_URL, KAFKA_BROKERS } = variablesOf('every app', service.name);
    const given = readServiceConfig(service, { DATABASE_URL, KAFKA_BROKERS });
    const tls = {
      MILLRACE_TLS_CERT_FILE: '/etc/millrace/tls.crt',
      MILLRACE_TLS_KEY_FILE: '/etc/millrace/tls.key',
    };
    expect({ ...shown, events: { ...shown.events, connection: null } }).toEqual({
      ...given,
      http: { ...given.http, ...tls },
      events: { ...given.events, connection: null },
    });
    expect(shown.http.PORT).toBe(service.port);
    expect(shown.source).toBe(service.name);
  });

  it('names every further variable of the relay, and no other', () => {
    const own = ['PORT', 'DATABASE_URL', ...Object.keys(RELAY_VARIABLES)].filter((name) => !everyApp.includes(name));
    expect(namesOf('relay')).toEqual(own.toSorted());
  });

  it('shows the defaults of the relay, or examples that it takes', () => {
    const { MILLRACE_CONFIG: file, ...others } = variablesOf('every app', 'relay');
    const shown = readRelaySettings(others);
    expect(shown.http.PORT).toBe(3000);
    expect(shown.relay.sinks[0]).toMatchObject({ options: { client: 'platformatic' } });
    expect(shown.relay.sources[0]?.capture).toBe('polling');
    expect(readFileSync(new URL(`../${String(file)}`, import.meta.url), 'utf8')).toContain('version: 1');
  });
});

/** What the Kafka settings look for: their own list of them is their code. */
function kafkaVariables(): string[] {
  const asked = new Set<string>();
  const given: NodeJS.Dict<string> = { KAFKA_BROKERS: '127.0.0.1:9092' };
  const watched = new Proxy(given, {
    get: (target, name) => {
      asked.add(String(name));
      return target[String(name)];
    },
  });
  parseKafkaEnv(watched);
  return [...asked];
}
