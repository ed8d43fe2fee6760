import { All, Controller } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { ProblemError } from '@millrace/http';
import { RequireRole } from './auth/access.decorators.js';

/**
 * Answers every other path and method below /admin, so that without a token nobody learns which of them exist; it
 * also keeps Express from answering OPTIONS by itself. Has to be registered after all other admin controllers.
 */
@ApiExcludeController()
@Controller('admin')
export class UnknownAdminRouteController {
  @All(['', '*path'])
  @RequireRole('viewer')
  answer(): never {
    throw new ProblemError('not-found', 'No route has this method and path; GET /openapi.json lists all.');
  }
}
