import { Body, Controller, Get, HttpCode, Param, Post, Put } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { CAPTURE_MODES } from '@millrace/capture';
import { ApiProblems } from '@millrace/http';
import { RelayEngine, type RouteStatus } from '@millrace/relay';
import { z } from 'zod';
import { Caller, RequireRole } from '../auth/access.decorators.js';
import { AUTH_PROBLEMS } from '../auth/auth-problems.js';
import { type Principal } from '../auth/principal.js';
import { reasonSchema } from './reason.js';
import { routeListSchema, type RouteView, routeViewOf, routeViewSchema } from './route-view.js';

const commandSchema = z.strictObject({ reason: reasonSchema.optional() }).default({});

type Command = z.infer<typeof commandSchema>;

const captureSchema = z.strictObject({
  mode: z
    .enum([...CAPTURE_MODES, 'configured'])
    .describe('polling: from the table; wal: from a replication slot; auto: as wal, from the table while far behind'),
  reason: reasonSchema.optional(),
});

type CaptureCommand = z.infer<typeof captureSchema>;

const EFFECT =
  ' Where this relay runs the route, the answer shows the effect, unless the database takes more than a second; where ' +
  'another one does, that one follows within two seconds.';

const COMMAND_PROBLEMS = {
  400: 'the body is not valid',
  404: 'no such route',
  409: 'the route has no ledger yet: it has never run',
  503: 'the source of the route can not be changed now',
};

/** What the routes do, and pausing, resuming and moving them, and how they learn of new rows. The answer is the view of the relay that is asked. */
@ApiTags('routes')
@ApiBearerAuth()
@ApiProblems(AUTH_PROBLEMS)
@Controller('admin/v1/routes')
export class RoutesController {
  constructor(private readonly engine: RelayEngine) {}

  @Get()
  @RequireRole('viewer')
  @ApiOperation({ summary: 'All routes of this relay, those that are divided shard by shard' })
  @ApiResponse({ status: 200, description: 'the routes', standardSchema: routeListSchema })
  list(): { routes: RouteView[] } {
    return { routes: this.engine.status().map(routeViewOf) };
  }

  @Get(':route')
  @RequireRole('viewer')
  @ApiOperation({ summary: 'One route, over all its shards, or one shard' })
  @ApiParam({ name: 'route', description: 'name of the route, or of one of its shards' })
  @ApiResponse({ status: 200, description: 'the route', standardSchema: routeViewSchema })
  @ApiProblems({ 404: 'no such route' })
  get(@Param('route') route: string): RouteView {
    return routeViewOf(this.find(route));
  }

  @Post(':route/pause')
  @HttpCode(200)
  @RequireRole('operator')
  @ApiOperation({
    summary: 'Pause a route',
    description:
      'Sets the pause mark in the source, with an audit row; it outlives restarts. The relay that runs the route ' +
      'finishes what is in flight and sends nothing more. Pausing a paused route changes nothing.' +
      EFFECT,
  })
  @ApiParam({ name: 'route', description: 'name of the route, or of one of its shards' })
  @ApiResponse({ status: 200, description: 'the route', standardSchema: routeViewSchema })
  @ApiProblems(COMMAND_PROBLEMS)
  async pause(
    @Param('route') route: string,
    @Body({ schema: commandSchema }) command: Command,
    @Caller() caller: Principal,
  ): Promise<RouteView> {
    this.find(route);
    await this.engine.pause({ route, actor: caller.name, reason: command.reason ?? null });
    return routeViewOf(this.find(route));
  }

  @Post(':route/resume')
  @HttpCode(200)
  @RequireRole('operator')
  @ApiOperation({
    summary: 'Resume a route',
    description:
      'Clears the pause mark in the source, with an audit row, and starts a route anew that this relay has stopped, or ' +
      'that it leaves to another one that has. Resuming a running route changes nothing.' +
      EFFECT,
  })
  @ApiParam({ name: 'route', description: 'name of the route, or of one of its shards' })
  @ApiResponse({ status: 200, description: 'the route', standardSchema: routeViewSchema })
  @ApiProblems(COMMAND_PROBLEMS)
  async resume(
    @Param('route') route: string,
    @Body({ schema: commandSchema }) command: Command,
    @Caller() caller: Principal,
  ): Promise<RouteView> {
    this.find(route);
    await this.engine.resume({ route, actor: caller.name, reason: command.reason ?? null });
    return routeViewOf(this.find(route));
  }

  @Put(':route/capture')
  @RequireRole('operator')
  @ApiOperation({
    summary: 'Set how a route learns of new rows',
    description:
      'Sets the mode in the source, with an audit row; it outlives restarts and goes before the configuration until ' +
      '"configured" gives way to it again. The route changes over without a gap, a second copy or another order, and is ' +
      'not interrupted. With wal and auto it goes on reading the table until it has a slot that can be read: `capture` of ' +
      'the route tells.' +
      EFFECT,
  })
  @ApiParam({ name: 'route', description: 'name of the route, or of one of its shards' })
  @ApiResponse({ status: 200, description: 'the route', standardSchema: routeViewSchema })
  @ApiProblems(COMMAND_PROBLEMS)
  async setCapture(
    @Param('route') route: string,
    @Body({ schema: captureSchema }) { mode, reason }: CaptureCommand,
    @Caller() caller: Principal,
  ): Promise<RouteView> {
    this.find(route);
    const wanted = mode === 'configured' ? null : mode;
    await this.engine.setCapture({ route, mode: wanted, actor: caller.name, reason: reason ?? null });
    return routeViewOf(this.find(route));
  }

  @Post(':route/step-down')
  @HttpCode(200)
  @RequireRole('operator')
  @ApiOperation({
    summary: 'Give a route to another relay',
    description:
      'To be sent to the relay that runs the route, with an audit row in the source. It finishes what is in flight, ' +
      'gives the lease back and does not want the route for a minute. The next relay begins within seconds; without ' +
      'another one the same relay goes on after 6 s.',
  })
  @ApiParam({ name: 'route', description: 'name of the route, or of one of its shards' })
  @ApiResponse({ status: 200, description: 'the route', standardSchema: routeViewSchema })
  @ApiProblems({ ...COMMAND_PROBLEMS, 409: 'this relay does not run the route; GET /admin/v1/relays lists all' })
  async stepDown(
    @Param('route') route: string,
    @Body({ schema: commandSchema }) command: Command,
    @Caller() caller: Principal,
  ): Promise<RouteView> {
    this.find(route);
    await this.engine.stepDown({ route, actor: caller.name, reason: command.reason ?? null });
    return routeViewOf(this.find(route));
  }

  private find(route: string): RouteStatus {
    return this.engine.routeStatus(route);
  }
}
