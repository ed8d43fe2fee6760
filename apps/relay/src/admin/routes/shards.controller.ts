import { Body, Controller, Get, Param, Put } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { SHARDS_MAX } from '@millrace/capture';
import { ApiProblems } from '@millrace/http';
import { RelayEngine } from '@millrace/relay';
import { z } from 'zod';
import { Caller, RequireRole } from '../auth/access.decorators.js';
import { AUTH_PROBLEMS } from '../auth/auth-problems.js';
import { type Principal } from '../auth/principal.js';
import { reasonSchema } from './reason.js';
import { type ShardsView, shardsViewOf, shardsViewSchema } from './shards-view.js';

const commandSchema = z.strictObject({
  shards: z.int().min(1).max(SHARDS_MAX).describe('must divide the number of partitions of each topic of the route'),
  reason: reasonSchema.optional(),
});

type Command = z.infer<typeof commandSchema>;

const PROBLEMS = {
  404: 'no such route',
  409: 'the route has no ledger yet, or a topic of it cannot be shared by so many shards',
  503: 'the source of the route does not answer, its sink does not tell its topics, or one of its shards has expired',
};

/** Into how many shards a route is divided. Unlike the other views of a route this one is read from its source. */
@ApiTags('routes')
@ApiBearerAuth()
@ApiProblems(AUTH_PROBLEMS)
@Controller('admin/v1/routes')
export class ShardsController {
  constructor(private readonly engine: RelayEngine) {}

  @Get(':route/shards')
  @RequireRole('viewer')
  @ApiOperation({ summary: 'The shards of a route, and how far a change of their number is' })
  @ApiParam({ name: 'route', description: 'name of the route' })
  @ApiResponse({ status: 200, description: 'the shards', standardSchema: shardsViewSchema })
  @ApiProblems(PROBLEMS)
  async get(@Param('route') route: string): Promise<ShardsView> {
    return shardsViewOf(await this.engine.shards(route));
  }

  @Put(':route/shards')
  @RequireRole('operator')
  @ApiOperation({
    summary: 'Change the number of shards of a route',
    description:
      'Sets it in the source, with an audit row; it outlives restarts and goes before the configuration. The present ' +
      'shards send and settle all that any of them has read, and nothing above; when the last one has, the new ones begin ' +
      'there, in whichever relays. A shard that nobody can run, or that is paused with events to send, makes the change ' +
      'wait: `members` tells which. Nothing is lost and no key loses its order meanwhile. Another number changes what is ' +
      'on the way, the number in force calls it off.',
  })
  @ApiParam({ name: 'route', description: 'name of the route' })
  @ApiResponse({ status: 200, description: 'the shards, as they are now', standardSchema: shardsViewSchema })
  @ApiProblems({ ...PROBLEMS, 400: 'the body is not valid' })
  async set(
    @Param('route') route: string,
    @Body({ schema: commandSchema }) { shards, reason }: Command,
    @Caller() caller: Principal,
  ): Promise<ShardsView> {
    return shardsViewOf(await this.engine.setShards({ route, shards, actor: caller.name, reason: reason ?? null }));
  }
}
