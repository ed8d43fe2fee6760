import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '@millrace/testing';
import { LinkedProcess } from './linked-process.js';
import { type KafkaClient } from './relay-process.js';
import { SupervisedProcess } from './supervised-process.js';

/** The three services. */
export const SERVICES = ['order', 'inventory', 'payment'] as const;
export type Service = (typeof SERVICES)[number];

/** The programs of the shop. */
export const APPS = ['relay', ...SERVICES] as const;
export type App = (typeof APPS)[number];

/** How a program is run: its file, and what Node is told. */
export interface AppProgram {
  readonly main: string;
  readonly nodeArguments: readonly string[];
}

/** Where the shop's programs find everything. */
export interface ShopOptions {
  /** Logs go here. */
  readonly folder: string;
  /** With schema `millrace` and the tables of the services. */
  readonly databaseUrls: Readonly<Record<Service, string>>;
  readonly brokers: readonly string[];
  readonly client: KafkaClient;
  /** The relay's configuration for three services, such as the `millrace.yaml` of `npm start`. */
  readonly relayConfig: string;
  readonly program: (app: App, entry: 'main' | 'migrate') => AppProgram;
}

/** Relay, order, inventory and payment as processes, as users run them, each started again whenever it ends. */
export class Shop {
  private constructor(
    private readonly apps: Readonly<Record<App, SupervisedProcess>>,
    private readonly options: ShopOptions,
  ) {}

  /** Resolves when all four programs are ready. The tables are there: see `migrateShop`. */
  static async start(options: ShopOptions): Promise<Shop> {
    const [relay, order, inventory, payment] = [
      supervised('relay', await freePort(), options),
      supervised('order', await freePort(), options),
      supervised('inventory', await freePort(), options),
      supervised('payment', await freePort(), options),
    ];
    const shop = new Shop({ relay, order, inventory, payment }, options);
    try {
      await shop.ready();
    } catch (error) {
      await shop.stop('SIGKILL');
      throw error;
    }
    return shop;
  }

  app(name: App): SupervisedProcess {
    return this.apps[name];
  }

  /** Where a service's API is. */
  url(service: Service): string {
    return this.apps[service].url;
  }

  logFile(app: App): string {
    return `${logOf(app, this.options)}.log`;
  }

  async ready(): Promise<void> {
    await Promise.all(APPS.map(async (app) => this.apps[app].ready()));
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    await Promise.all(APPS.map(async (app) => this.apps[app].stop(signal)));
  }
}

/** Makes the tables of the three services by their own programs. */
export async function migrateShop(options: ShopOptions): Promise<void> {
  await Promise.all(SERVICES.map(async (service) => migrateTables(service, options)));
}

function supervised(app: App, port: number, options: ShopOptions): SupervisedProcess {
  const { main, nodeArguments } = options.program(app, 'main');
  const environment = { ...environmentOf(app, options), PORT: String(port) };
  return new SupervisedProcess({
    name: app,
    url: `http://127.0.0.1:${port}`,
    start: () => new LinkedProcess({ main, nodeArguments, file: logOf(app, options), environment }),
  });
}

function environmentOf(app: App, options: ShopOptions): Readonly<Record<string, string>> {
  const { brokers, client, databaseUrls } = options;
  const base = {
    KAFKA_BROKERS: brokers.join(),
    MILLRACE_KAFKA_CLIENT: client,
    // not a line for every request
    LOG_LEVEL: process.env['LOG_LEVEL'] ?? 'warn',
  };
  return app === 'relay'
    ? {
        ...base,
        MILLRACE_CONFIG: options.relayConfig,
        MILLRACE_ADMIN_TOKEN: 'a-token-of-the-test-runs',
        ORDER_DATABASE_URL: databaseUrls.order,
        INVENTORY_DATABASE_URL: databaseUrls.inventory,
        PAYMENT_DATABASE_URL: databaseUrls.payment,
      }
    : { ...base, DATABASE_URL: databaseUrls[app] };
}

function logOf(app: App, { folder }: ShopOptions): string {
  return join(folder, app);
}

async function migrateTables(service: Service, options: ShopOptions): Promise<void> {
  const { main, nodeArguments } = options.program(service, 'migrate');
  const log = openSync(`${logOf(service, options)}.log`, 'a');
  const migration = spawn(process.execPath, [...nodeArguments, main], {
    stdio: ['ignore', log, log],
    env: { ...process.env, DATABASE_URL: options.databaseUrls[service] },
  });
  closeSync(log);
  const status = await new Promise<number | null>((resolve) => {
    migration.once('exit', resolve);
  });
  if (status !== 0) {
    throw new Error(`The migration of the ${service} service failed: see ${logOf(service, options)}.log.`);
  }
}
