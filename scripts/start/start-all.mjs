import { adminToken } from './admin-token.mjs';
import { AppProcess } from './app-process.mjs';
import { createDatabases, migrateDatabase } from './databases.mjs';
import { requirePorts } from './ports.mjs';
import { say } from './say.mjs';
import { localServers, removeData, startServers } from './servers.mjs';
import { needsPostgres, wantedPorts } from './settings.mjs';
import { Supervised } from './supervised.mjs';

/** The stages stop in the reverse order of this. */
const STAGE = { postgres: 'postgres', kafka: 'kafka', apps: 'apps' };

/** Servers, databases, migrations, apps; returns where they are. Everything started is told to `shutdown` first. */
export async function startAll(settings, { isFresh, shutdown }) {
  await requirePorts(wantedPorts(settings)); // again: the installation and the build took their time
  const servers = localServers(settings);
  if (isFresh) {
    removeData(servers, settings);
  }
  shutdown.check();
  await startServers(servers, (title, supervised) => {
    shutdown.add(title === 'Kafka' ? STAGE.kafka : STAGE.postgres, title, supervised);
  });
  shutdown.check();
  const adminUrl = needsPostgres(settings) ? servers.postgres.adminUrl : settings.postgres.adminUrl;
  const services = await createDatabases(settings.services, adminUrl);
  await Promise.all(services.map(migrateDatabase));
  shutdown.check();
  const brokers = settings.kafka.brokers ?? servers.kafka.brokers.join(',');
  const admin = adminToken(process.env.MILLRACE_ADMIN_TOKEN);
  const apps = appProcesses(settings, services, { KAFKA_BROKERS: brokers, MILLRACE_ADMIN_TOKEN: admin.token });
  say(`Starting ${apps.map(({ name }) => name).join(', ')} ...`);
  await Promise.all(
    apps.map(async (app) => {
      const supervised = new Supervised(`The ${app.name} app`, app);
      shutdown.add(STAGE.apps, app.name, supervised);
      await supervised.start();
      say(`The ${app.name} app is ready on ${app.url}`);
    }),
  );
  shutdown.check();
  const urlOf = (wanted) => apps.find(({ name }) => name === wanted).url;
  return {
    relayUrl: urlOf('relay'),
    orderUrl: urlOf('order'),
    postgresUrl: services.map(({ databaseUrl }) => withoutPassword(databaseUrl)).join('  '),
    brokers,
    adminToken: admin.shown,
  };
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
    environment: { KAFKA_BROKERS: relayOnly.KAFKA_BROKERS, DATABASE_URL: service.databaseUrl },
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

function withoutPassword(text) {
  const url = new URL(text);
  url.password = '';
  return url.toString();
}
