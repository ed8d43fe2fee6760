import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';

import { type Environment, HTTP_RULES, httpVariables, postgresUrl, readEnvironment } from './environment.js';
import { StartError } from './http.errors.js';

const schema = z.object({ ...httpVariables(3001), DATABASE_URL: postgresUrl() });
const valid = { DATABASE_URL: 'postgres://user:hunter2@127.0.0.1/orders' };

function problemsOf(environment: Environment): readonly string[] {
  try {
    readEnvironment(schema, environment, HTTP_RULES);
  } catch (error) {
    if (error instanceof StartError) {
      return error.problems;
    }
    throw error;
  }
  return [];
}

describe('the environment', () => {
  it('has defaults for all but the database', () => {
    expect(readEnvironment(schema, { ...valid, PATH: '/bin' }, HTTP_RULES)).toEqual({
      ...valid,
      PORT: 3001,
      HOST: '127.0.0.1',
      LOG_LEVEL: 'info',
      MILLRACE_TRUST_PROXY: false,
    });
  });

  it('counts an empty variable as not set', () => {
    expect(readEnvironment(schema, { ...valid, PORT: '', HOST: '' }, HTTP_RULES)).toMatchObject({ PORT: 3001 });
    expect(problemsOf({ DATABASE_URL: '' })).toEqual([expect.stringMatching(/^DATABASE_URL is not set: give a Post/)]);
  });

  it('tells every problem at once, by the name of the variable and without its value', () => {
    const problems = problemsOf({
      PORT: '80.5',
      LOG_LEVEL: 'loud',
      HOST: '0.0.0.0',
      MILLRACE_TRUST_PROXY: 'yes',
      DATABASE_URL: 'mysql://root:hunter2@db/orders',
    });
    expect(problems.map((problem) => problem.split(' ', 1)[0]).toSorted()).toEqual([
      'DATABASE_URL',
      'HOST',
      'LOG_LEVEL',
      'MILLRACE_TRUST_PROXY',
      'PORT',
    ]);
    expect(problems.join('\n')).not.toContain('hunter2');
  });

  it.each(['65536', '-1', '1e3', ' 80', '0x50', '99999999999999999999'])('refuses the port %j', (port) => {
    expect(problemsOf({ ...valid, PORT: port })).toEqual(['PORT is not valid: give a whole number from 0 to 65535']);
  });

  it.each(['postgres://127.0.0.1', 'postgres://127.0.0.1/', 'orders', 'http://127.0.0.1/orders'])(
    'refuses the database URL %j',
    (url) => {
      expect(problemsOf({ DATABASE_URL: url })).toHaveLength(1);
    },
  );

  it('lets others in only behind TLS, its own or that of a proxy', () => {
    const open = { ...valid, HOST: '0.0.0.0' };
    expect(problemsOf(open)).toEqual([expect.stringContaining('MILLRACE_TRUST_PROXY=true')]);
    expect(problemsOf({ ...open, MILLRACE_TRUST_PROXY: 'true' })).toEqual([]);
    expect(problemsOf({ ...open, MILLRACE_TLS_CERT_FILE: 'a', MILLRACE_TLS_KEY_FILE: 'b' })).toEqual([]);
    expect(problemsOf({ ...open, MILLRACE_TLS_CERT_FILE: 'a' })).toEqual([expect.stringContaining('go together')]);
    expect(problemsOf({ ...valid, HOST: 'localhost' })).toEqual([]);
  });
});
