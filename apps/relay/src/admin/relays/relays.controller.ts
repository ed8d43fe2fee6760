import { Controller, Get } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '@millrace/http';
import { RelayEngine } from '@millrace/relay';
import { RequireRole } from '../auth/access.decorators.js';
import { AUTH_PROBLEMS } from '../auth/auth-problems.js';
import { type RelaysView, relaysViewOf, relaysViewSchema } from './relays-view.js';

/** Who shares the routes of each source. The answer is the view of the relay that is asked. */
@ApiTags('relays')
@ApiBearerAuth()
@ApiProblems(AUTH_PROBLEMS)
@Controller('admin/v1/relays')
export class RelaysController {
  constructor(private readonly engine: RelayEngine) {}

  @Get()
  @RequireRole('viewer')
  @ApiOperation({ summary: 'The relays of every source, and who should run what' })
  @ApiResponse({ status: 200, description: 'the relays', standardSchema: relaysViewSchema })
  list(): RelaysView {
    return relaysViewOf(this.engine.owner, this.engine.relays(), this.engine.status());
  }
}
