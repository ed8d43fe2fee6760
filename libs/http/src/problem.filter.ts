import { type ArgumentsHost, Catch, type ExceptionFilter, Logger } from '@nestjs/common';
import type { Response } from 'express';

import { PROBLEM_MEDIA_TYPE, toProblem, toProblemError } from './problem.js';
import { requestIdOf } from './request-log.js';

/** Turns an error of the app into a problem, or leaves it (`undefined`) to the filter; e.g. a lost database into 503. */
export type ProblemTranslation = (error: unknown) => unknown;

/**
 * Answers everything thrown, by routes, pipes, the body parser and the router, with problem+json. A 5xx is logged
 * once with its cause, under the id that the answer names; a 4xx is the caller's matter and only in the request line.
 */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger(ProblemFilter.name);

  constructor(private readonly translate: ProblemTranslation = () => undefined) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<Response>();
    const error = toProblemError(this.translate(thrown) ?? thrown);
    const requestId = requestIdOf(response.req);
    if (error.status >= 500) {
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
