import { Controller, Get } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '@millrace/http';
import { RelayEngine } from '@millrace/relay';
import { RetentionRuns } from '../../retention/retention-runs.js';
import { RequireRole } from '../auth/access.decorators.js';
import { AUTH_PROBLEMS } from '../auth/auth-problems.js';
import { type RetentionView, retentionViewOf, retentionViewSchema } from './retention-view.js';

/** What history each source has and what becomes of it. The answer is the view of the relay that is asked. */
@ApiTags('retention')
@ApiBearerAuth()
@ApiProblems(AUTH_PROBLEMS)
@Controller('admin/v1/retention')
export class RetentionController {
  constructor(
    private readonly engine: RelayEngine,
    private readonly runs: RetentionRuns,
  ) {}

  @Get()
  @RequireRole('viewer')
  @ApiOperation({
    summary: 'The history of every source',
    description: 'Policy, leaves and what they wait for, what each route holds up, alarms, as the last run found them.',
  })
  @ApiResponse({ status: 200, description: 'the history', standardSchema: retentionViewSchema })
  show(): RetentionView {
    return retentionViewOf(this.engine.owner, this.runs.histories());
  }
}
