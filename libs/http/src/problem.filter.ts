import { type ArgumentsHost, Catch, type ExceptionFilter, HttpStatus, Logger } from '@nestjs/common';
import type { Response } from 'express';

import { PROBLEM_MEDIA_TYPE, toProblem, toProblemError } from './problem.js';
import { requestIdOf } from './request-log.js';

/** Turns an error of the app into a problem, or leaves it (`undefined`) to the filter; e.g. a lost database into 503. */
export type ProblemTranslation = (error: unknown) => unknown;

const UNAVAILABLE: number = HttpStatus.SERVICE_UNAVAILABLE;

/**
 * Answers everything thrown, by routes, pipes, the body parser and the router, with problem+json. A 5xx is logged
 * once with its cause, under the id that the answer names; a 4xx is the caller's matter and only in the request line.
 * What passes by itself (503) comes by the hundred, so of its cause only the name and the code are logged.
 */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger(ProblemFilter.name);

  constructor(private readonly translate: ProblemTranslation = () => undefined) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<Response>();
    const error = toProblemError(this.translate(thrown) ?? thrown);
    const requestId = requestIdOf(response.req);
    if (error.status === UNAVAILABLE) {
      this.logger.warn({ code: error.code, cause: nameOf(error.cause), requestId }, 'request put off');
    } else if (error.status >= 500) {
      this.logger.error({ err: error.cause ?? error, code: error.code, requestId }, 'request failed');
    }
    if (response.headersSent) {
      response.destroy();
      return;
    }
    response
      .status(error.status)
      .set(error.headers)
      .type(PROBLEM_MEDIA_TYPE)
      .send(JSON.stringify(toProblem(error, requestId)));
  }
}

/** Such as `QueryFailedError 57P03`. */
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) {
    return 'none';
  }
  return 'code' in error && typeof error.code === 'string' ? `${error.name} ${error.code}` : error.name;
}
