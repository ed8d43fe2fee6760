import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';

import { describe, expect, it } from '@jest/globals';
import { httpVariables } from '@millrace/http';

import { orderVariables, readOrderConfig } from '../apps/order/src/order.config.js';

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
});
