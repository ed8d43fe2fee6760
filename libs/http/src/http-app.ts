import { type Server } from 'node:http';

import { type DynamicModule, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type NestExpressApplication } from '@nestjs/platform-express';
import { Logger, LoggerModule } from 'nestjs-pino';
import { type DestinationStream } from 'pino';
import { Registry } from 'prom-client';

import { FrameworkLog } from './framework-log.js';
import { refuseOtherMedia } from './media-type.js';
import { MetricsModule } from './metrics.module.js';
import { type ApiDescription, serveOpenApi } from './openapi.js';
import { ProblemFilter, type ProblemTranslation } from './problem.filter.js';
import { refusePrototypeFields } from './prototype-fields.js';
import { createRequestLog, createRootLogger, type LogLevelName } from './request-log.js';
import { createRequestMetrics } from './request-metrics.js';
import { createSecurityHeaders } from './security-headers.js';
import { TimedExpressAdapter } from './timed-express-adapter.js';
import { createValidationPipe } from './validation.js';

/** The largest request body that is read, after decompression. */
const BODY_BYTES_MAX = 64 * 1024;

/** What an HTTP app is made of, beside its module. */
export interface HttpAppOptions extends ApiDescription {
  /** The app's name in its log lines, e.g. `order`. */
  readonly name: string;
  readonly logLevel: LogLevelName;
  /** Standard output where none is given. */
  readonly logDestination?: DestinationStream;
  /** Behind a proxy that sets `X-Forwarded-*`; the address of the caller is then the proxy's word. */
  readonly isBehindProxy?: boolean;
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer };
  readonly translateProblem?: ProblemTranslation;
}

@Module({})
class HttpRootModule {}

/**
 * Builds an app over `module` as every HTTP app of the workspace is: JSON log lines without bodies and headers,
 * problem+json for every error, checks by Standard Schema, bodies of at most 64 KiB of JSON, security headers, request
 * metrics, `GET /metrics` and `GET /openapi.json`. `HealthModule` is the app's to import. The app is initialised and
 * not yet listening. Rejects with what the container threw.
 */
export async function createHttpApp(
  module: Type | DynamicModule,
  options: HttpAppOptions,
): Promise<NestExpressApplication> {
  const logger = createRootLogger(options.name, options.logLevel, options.logDestination);
  const root: DynamicModule = {
    module: HttpRootModule,
    imports: [LoggerModule.forRoot({ useExisting: true, pinoHttp: { logger } }), MetricsModule, module],
  };
  const nestOptions = {
    bufferLogs: true,
    abortOnError: false,
    bodyParser: false,
    ...(options.tls === undefined ? {} : { httpsOptions: options.tls }),
  };
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- Nest's options class is only a shape
  const app = await NestFactory.create<NestExpressApplication>(root, new TimedExpressAdapter(), nestOptions);
  app.useLogger(new FrameworkLog(app.get(Logger)));
  app.use(createRequestLog(logger), createRequestMetrics(app.get(Registry)));
  readRequests(app, options);
  app.useGlobalPipes(createValidationPipe());
  app.useGlobalFilters(new ProblemFilter(options.translateProblem));
  serveOpenApi(app, options);
  return await app.init();
}

function readRequests(app: NestExpressApplication, { isBehindProxy = false, tls }: HttpAppOptions): void {
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('trust proxy', isBehindProxy ? 1 : false);
  app.use(...createSecurityHeaders(isBehindProxy || tls !== undefined), refuseOtherMedia);
  app.useBodyParser('json', { limit: BODY_BYTES_MAX });
  app.use(refusePrototypeFields);
  const server = app.getHttpServer();
  server.on('request', (_request, response) => {
    response.once('close', () => {
      setImmediate(closeIdleWhenStopping, server);
    });
  });
}

/** A kept-alive connection whose last answer went out while the app was stopping would hold it up for seconds. */
function closeIdleWhenStopping(server: Server): void {
  if (!server.listening) {
    server.closeIdleConnections();
  }
}
