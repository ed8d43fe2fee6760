import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';

import { describe, expect, it } from '@jest/globals';
import { httpVariables } from '@millrace/http';

import { orderVariables, readOrderConfig } from '../apps/order/src/order.config.js';
import { readRelaySettings, RELAY_VARIABLES } from '../apps/relay/src/relay.config.js';

/** The text of each `# [section]`, with its optional variables switched on. */
function readSections(): Map<string, string> {
  const text = readFileSync(new URL('../.env.example', import.meta.url), 'utf8').replaceAll(/^#(?=[A-Z_]+=)/gm, '');
  const [, ...parts] = text.split(/^# \[(.+)\]$/m);
  return new Map(parts.flatMap((name, index) => (index % 2 === 0 ? [[name, parts[index + 1] ?? ''] as const] : [])));
}

const sections = readSections();
const variablesOf = (section: string): NodeJS.Dict<string> => parseEnv(sections.get(section) ?? '');

/** PORT stands with each app, as its default differs. */
const everyApp = Object.keys(httpVariables(0)).filter((name) => name !== 'PORT');

describe('.env.example', () => {
  it('names every variable that every HTTP app reads, and no other', () => {
    expect(Object.keys(variablesOf('every app')).toSorted()).toEqual(everyApp.toSorted());
  });

  it('names every further variable of the order service, and no other', () => {
    const own = Object.keys(orderVariables.shape).filter((name) => !everyApp.includes(name));
    expect(Object.keys(variablesOf('order')).toSorted()).toEqual(own.toSorted());
  });

  it('shows the defaults of the order service, or examples that it takes', () => {
    const shown = readOrderConfig({ ...variablesOf('every app'), ...variablesOf('order') });
    const given = readOrderConfig({ DATABASE_URL: shown.database.url });
    const tls = {
      MILLRACE_TLS_CERT_FILE: '/etc/millrace/tls.crt',
      MILLRACE_TLS_KEY_FILE: '/etc/millrace/tls.key',
    };
    expect(shown).toEqual({ ...given, http: { ...given.http, ...tls } });
  });

  it('names every further variable of the relay, and no other', () => {
    const own = ['PORT', 'DATABASE_URL', ...Object.keys(RELAY_VARIABLES), ...kafkaVariables()];
    expect(Object.keys(variablesOf('relay')).toSorted()).toEqual(own.toSorted());
  });

  it('shows the defaults of the relay, or examples that it takes', () => {
    const { MILLRACE_CONFIG: file, ...others } = variablesOf('relay');
    const shown = readRelaySettings({ ...variablesOf('every app'), ...others });
    expect(shown.http.PORT).toBe(3000);
    expect(shown.relay.sinks[0]?.kafka.client).toBe('platformatic');
    expect(readFileSync(new URL(`../${String(file)}`, import.meta.url), 'utf8')).toContain('version: 1');
  });
});

/** What the Kafka settings look for: the relay's own list of them is its code. */
function kafkaVariables(): string[] {
  const asked = new Set<string>();
  const given: NodeJS.Dict<string> = {
    DATABASE_URL: 'postgres://127.0.0.1/orders',
    KAFKA_BROKERS: '127.0.0.1:9092',
  };
  const watched = new Proxy(given, {
    get: (target, name) => {
      asked.add(String(name));
      return target[String(name)];
    },
  });
  readRelaySettings(watched);
  return [...asked].filter((name) => name.startsWith('KAFKA_'));
}
