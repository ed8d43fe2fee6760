import { Logger } from '@nestjs/common';
import { type NestExpressApplication } from '@nestjs/platform-express';
import { createHttpApp, type HttpAppOptions, listen, readTls } from '@millrace/http';
import { translateProblem } from './admin/translate-problem.js';
import { type AdminTokens, GeneratedAdminToken, SingleAdminToken } from './admin/auth/admin-tokens.js';
import { EngineLife } from './engine/engine-life.js';
import { enginePartsOf } from './engine/engine-parts.js';
import { type RelaySettings } from './relay.config.js';
import { type RetentionPace } from './retention/retention-pace.js';
import { RetentionRuns } from './retention/retention-runs.js';
import { RelayModule, type RelayParts } from './relay.module.js';

const API: Pick<HttpAppOptions, 'name' | 'title' | 'version' | 'description' | 'hasBearerAuth' | 'translateProblem'> = {
  name: 'relay',
  title: 'Millrace relay',
  version: '0.1.0',
  description: 'What the relay does, and what an operator may do to it. Everything below /admin needs a bearer token.',
  hasBearerAuth: true,
  translateProblem,
};

/** How the HTTP side of a relay is set up. */
export type RelayHttpOptions = Pick<HttpAppOptions, 'logLevel' | 'logDestination' | 'isBehindProxy' | 'tls'>;

/** The application, initialised; neither listening nor publishing yet. */
export async function createRelayApp(parts: RelayParts, options: RelayHttpOptions): Promise<NestExpressApplication> {
  return await createHttpApp(RelayModule.forRoot(parts), { ...API, ...options });
}

/** What a test sets otherwise than a process does. */
export interface RelayStartOptions extends Pick<RelayHttpOptions, 'logDestination'> {
  readonly retentionPace?: RetentionPace;
}

/** Builds the relay, listens, and only then starts to publish. Rejects with `StartError` for what a person can mend. */
export async function startRelay(
  settings: RelaySettings,
  options: RelayStartOptions = {},
): Promise<NestExpressApplication> {
  const { http, relay, adminToken } = settings;
  const { retentionPace, ...httpOptions } = options;
  const tls = readTls(http);
  const engine = enginePartsOf(relay);
  const retention = { sources: relay.sources, ...(retentionPace && { pace: retentionPace }) };
  const tokens = await adminTokensOf(adminToken);
  const app = await createRelayApp(
    { engine, retention, tokens },
    { logLevel: http.LOG_LEVEL, isBehindProxy: http.MILLRACE_TRUST_PROXY, ...(tls && { tls }), ...httpOptions },
  );
  try {
    await listen(app, http);
  } catch (error) {
    await app.close();
    throw error;
  }
  if (tokens instanceof GeneratedAdminToken) {
    new Logger('admin').log({ path: tokens.path }, 'admin token made; set MILLRACE_ADMIN_TOKEN to choose one');
  }
  app.get(EngineLife, { strict: false }).start();
  app.get(RetentionRuns, { strict: false }).start();
  return app;
}

async function adminTokensOf(configured: string | undefined): Promise<AdminTokens> {
  return configured === undefined
    ? await GeneratedAdminToken.create()
    : new SingleAdminToken(configured, { name: 'first-admin', role: 'admin' });
}
