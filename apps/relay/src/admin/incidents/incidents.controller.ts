import { Controller, Get } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { readIncidents } from '@millrace/capture';
import { ApiProblems } from '@millrace/http';
import { RetentionRuns } from '../../retention/retention-runs.js';
import { RequireRole } from '../auth/access.decorators.js';
import { AUTH_PROBLEMS } from '../auth/auth-problems.js';
import { type IncidentsView, incidentsViewSchema, sourceIncidentsView } from './incidents-view.js';

const SHOWN_MAX = 10;

/** What went wrong for good in the databases, as they have it themselves. */
@ApiTags('incidents')
@ApiBearerAuth()
@ApiProblems(AUTH_PROBLEMS)
@Controller('admin/v1/incidents')
export class IncidentsController {
  constructor(private readonly runs: RetentionRuns) {}

  @Get()
  @RequireRole('viewer')
  @ApiOperation({
    summary: 'The incidents of every source',
    description: `The last ${SHOWN_MAX} of each. They stay in table millrace.incident of the source's database.`,
  })
  @ApiResponse({ status: 200, description: 'the incidents', standardSchema: incidentsViewSchema })
  async list(): Promise<IncidentsView> {
    const sources = this.runs.databases();
    const read = await Promise.allSettled(
      sources.map(({ databaseUrl }) => readIncidents({ databaseUrl, limit: SHOWN_MAX })),
    );
    return {
      sources: read.map((result, index) => sourceIncidentsView(sources[index]?.source ?? '', result)),
    };
  }
}
