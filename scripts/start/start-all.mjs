import { adminToken } from './admin-token.mjs';
import { AppProcess } from './app-process.mjs';
import { createDatabases, migrateDatabase, requireOneWay } from './databases.mjs';
import { Instance } from './instance.mjs';
import { requirePorts } from './ports.mjs';
import { say } from './say.mjs';
import { localServers, removeData, startKafka, startServer } from './servers.mjs';
import { needsPostgres, wantedPorts } from './settings.mjs';
import { Supervised } from './supervised.mjs';

/** The stages stop in the reverse order of this. */
const STAGE = { postgres: 'postgres', kafka: 'kafka', apps: 'apps' };

/** Servers, databases, migrations, apps; returns where they are. Everything started is told to `shutdown` first. */
export async function startAll(settings, { isFresh, shutdown }) {
  await requirePorts(wantedPorts(settings)); // again: the installation and the build took their time
  const instance = new Instance();
  const supervise = (stage, name) => (title, program) => {
    const supervised = new Supervised(title, program, (isUp) => instance.changed(name, isUp));
    instance.add(name, program);
    shutdown.add(stage, title, supervised);
    return supervised;
  };
  const servers = localServers(settings);
  if (isFresh) {
    removeData(servers, settings);
  }
  shutdown.check();
  const { absence } = settings.kafka;
  if (absence !== undefined) {
    say(`No Kafka: ${absence}. The relay delivers events straight into the databases of the services.`);
  }
  const services = await startServers(servers, settings, supervise);
  if (!settings.isOwnConfig) {
    await Promise.all(services.map((service) => requireOneWay(service, absence === undefined)));
  }
  shutdown.check();
  const brokers = settings.kafka.brokers ?? servers.kafka?.brokers.join(',');
  const admin = adminToken(process.env.MILLRACE_ADMIN_TOKEN);
  const apps = appProcesses(settings, services, { KAFKA_BROKERS: brokers, MILLRACE_ADMIN_TOKEN: admin.token });
  await startApps(apps, supervise);
  shutdown.check();
  const urls = Object.fromEntries(apps.map(({ name, url }) => [name, url]));
  const databases = Object.fromEntries(services.map(({ name, databaseUrl }) => [name, databaseUrl]));
  instance.publish({ urls, databases, brokers, adminToken: admin.token });
  return { urls, databases, brokers, adminToken: admin.shown };
}

/** PostgreSQL with its databases, and Kafka, side by side; returns the services with their databases. */
async function startServers({ postgres, kafka }, settings, supervise) {
  const withDatabases = async () => {
    if (postgres !== undefined) {
      await startServer('PostgreSQL', postgres, supervise(STAGE.postgres, 'postgres'));
    }
    const adminUrl = needsPostgres(settings) ? postgres.adminUrl : settings.postgres.adminUrl;
    const services = await createDatabases(settings.services, adminUrl);
    await Promise.all(services.map(migrateDatabase));
    return services;
  };
  const started = await Promise.allSettled([
    withDatabases(),
    ...(kafka === undefined ? [] : [startKafka(kafka, supervise(STAGE.kafka, 'kafka'))]),
  ]);
  const failed = started.find(({ status }) => status === 'rejected');
  if (failed !== undefined) {
    throw failed.reason;
  }
  return started[0].value;
}

async function startApps(apps, supervise) {
  say(`Starting ${apps.map(({ name }) => name).join(', ')} ...`);
  await Promise.all(
    apps.map(async (app) => {
      await supervise(STAGE.apps, app.name)(`The ${app.name} app`, app).start();
      say(`The ${app.name} app is ready on ${app.url}`);
    }),
  );
}

function appProcesses(settings, services, relayOnly) {
  const databaseUrls = Object.fromEntries(
    services.map(({ databaseVariable, databaseUrl }) => [databaseVariable, databaseUrl]),
  );
  const relay = {
    ...settings.relay,
    environment: { ...relayOnly, ...databaseUrls, MILLRACE_CONFIG: settings.relayConfig },
  };
  const others = services.map((service) => ({
    ...service,
    environment: {
      KAFKA_BROKERS: relayOnly.KAFKA_BROKERS,
      MILLRACE_SUBSCRIPTION: settings.kafka.absence === undefined ? 'kafka' : 'postgres',
      DATABASE_URL: service.databaseUrl,
    },
  }));
  return [relay, ...others].map(
    ({ name, port, variable, environment }) =>
      new AppProcess({
        name,
        port,
        portVariable: variable,
        environment: { ...process.env, ...environment, PORT: String(port) },
        print: (line) => console.log(line),
      }),
  );
}
