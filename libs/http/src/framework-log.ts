import { type LoggerService } from '@nestjs/common';

/** Where Nest tells what it wires up while it starts, and what `listen` reports in a sentence of its own. */
const FRAMEWORK_CONTEXTS: ReadonlySet<unknown> = new Set([
  'InstanceLoader',
  'NestApplication',
  'NestFactory',
  'RouterExplorer',
  'RoutesResolver',
]);

/** Hands everything on to `logger`, Nest's own lines about its start at debug: one line per change of state is enough. */
export class FrameworkLog implements LoggerService {
  constructor(private readonly logger: Required<Pick<LoggerService, 'debug' | 'verbose' | 'fatal'>> & LoggerService) {}

  log(message: unknown, ...rest: unknown[]): void {
    if (isFramework(rest)) {
      this.logger.debug(message, ...rest);
    } else {
      this.logger.log(message, ...rest);
    }
  }

  error(message: unknown, ...rest: unknown[]): void {
    if (isFramework(rest)) {
      this.logger.debug(message, ...rest);
    } else {
      this.logger.error(message, ...rest);
    }
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.logger.warn(message, ...rest);
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.logger.debug(message, ...rest);
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.logger.verbose(message, ...rest);
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.logger.fatal(message, ...rest);
  }
}

/** Nest puts the context last. */
function isFramework(rest: readonly unknown[]): boolean {
  return FRAMEWORK_CONTEXTS.has(rest.at(-1));
}
