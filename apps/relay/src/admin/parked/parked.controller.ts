import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import {
  changeHeld,
  countParked,
  type HeldFilter,
  type HeldPlace,
  listHeldKeys,
  listParked,
  previewHeld,
} from '@millrace/capture';
import { ApiProblems, ProblemError } from '@millrace/http';
import { RelayEngine } from '@millrace/relay';
import { RetentionRuns } from '../../retention/retention-runs.js';
import { Caller, RequireRole } from '../auth/access.decorators.js';
import { AUTH_PROBLEMS } from '../auth/auth-problems.js';
import { type Principal } from '../auth/principal.js';
import {
  type ParkedActionResult,
  parkedActionResultSchema,
  type ParkedCommand,
  parkedCommandSchema,
} from './parked-command.js';
import {
  heldKeysPage,
  type HeldKeysQuery,
  heldKeysQuerySchema,
  type HeldKeysView,
  heldKeysViewSchema,
  keyOfCursor,
  parkedCodes,
  parkedPage,
  type ParkedQuery,
  parkedQuerySchema,
  type ParkedView,
  parkedViewSchema,
} from './parked-view.js';

const PROBLEMS = {
  400: 'the request is not valid',
  404: 'no such route',
  503: 'the source of the route does not answer',
};

/** Events that were refused, and what is held behind them, as the source of their route has it. */
@ApiTags('parked')
@ApiBearerAuth()
@ApiProblems({ ...AUTH_PROBLEMS, ...PROBLEMS })
@Controller('admin/v1')
export class ParkedController {
  constructor(
    private readonly engine: RelayEngine,
    private readonly runs: RetentionRuns,
  ) {}

  @Get('parked')
  @RequireRole('viewer')
  @ApiOperation({
    summary: 'The events of a route that were refused',
    description: 'By the sink, or because no record can be made of them; a page at a time, without payloads.',
  })
  @ApiResponse({ status: 200, description: 'a page, or numbers by code', standardSchema: parkedViewSchema })
  async parked(@Query({ schema: parkedQuerySchema }) query: ParkedQuery): Promise<ParkedView> {
    const { route, groupBy, state, code, after, limit } = query;
    const place = this.placeOf(route);
    if (groupBy !== undefined) {
      return parkedCodes(route, await countParked(place));
    }
    const position = after === undefined ? {} : { after: BigInt(after) };
    const events = await listParked({ ...place, limit, ...(state && { state }), ...(code && { code }), ...position });
    return parkedPage(route, events, limit);
  }

  @Get('held-keys')
  @RequireRole('viewer')
  @ApiOperation({ summary: 'The keys of a route of which events are held, a page at a time' })
  @ApiResponse({ status: 200, description: 'a page', standardSchema: heldKeysViewSchema })
  async heldKeys(@Query({ schema: heldKeysQuerySchema }) query: HeldKeysQuery): Promise<HeldKeysView> {
    const { route, after: cursor, limit } = query;
    const after = cursor === undefined ? undefined : keyOfCursor(cursor);
    if (after === null) {
      throw new ProblemError('invalid-request', 'after is not the `next` of a page.');
    }
    const keys = await listHeldKeys({ ...this.placeOf(route), limit, ...(after && { after }) });
    return heldKeysPage(route, keys, limit);
  }

  @Post('parked/actions')
  @HttpCode(200)
  @RequireRole('operator')
  @ApiOperation({
    summary: 'Retry or discard events that are held',
    description:
      'retry: their chains are tried now, in order; an event that was left out joins the chain of its key. discard: they ' +
      'are never sent, and the rest of their chains goes on; an event on its way to the sink at this moment may still be ' +
      'published. In one transaction with an audit row. With dryRun nothing is done and the answer tells how many it ' +
      'would be; with confirm nothing is done unless it is that many, and nothing is discarded without.',
  })
  @ApiResponse({ status: 200, description: 'what was done', standardSchema: parkedActionResultSchema })
  @ApiProblems({ 409: 'the route has no ledger yet, or there are other events than were confirmed' })
  async act(
    @Body({ schema: parkedCommandSchema }) command: ParkedCommand,
    @Caller() caller: Principal,
  ): Promise<ParkedActionResult> {
    const { action, filter, reason, dryRun, confirm } = command;
    const { route } = filter;
    const place = this.placeOf(route);
    if (dryRun) {
      return { route, action, dryRun, ...(await previewHeld(place, filterOf(command))) };
    }
    const confirmed = confirm === undefined ? {} : { confirm };
    const request = { ...place, action, filter: filterOf(command), actor: caller.name, reason, ...confirmed };
    const result = await changeHeld(request);
    if (confirm !== undefined && confirm !== result.events) {
      throw new ProblemError(
        'conflict',
        `There are ${result.events} such events now, not ${confirm}. Nothing was done.`,
      );
    }
    await this.engine.lookAtHeld(route);
    return { route, action, dryRun, ...result };
  }

  private placeOf(route: string): HeldPlace {
    const { source, shardOf } = this.engine.routeStatus(route);
    const database = this.runs.databases().find((each) => each.source === source);
    if (database === undefined || shardOf !== route) {
      throw new ProblemError('not-found', 'There is no such route, or it is a shard: give the name of its route.');
    }
    return { databaseUrl: database.databaseUrl, route };
  }
}

function filterOf({ filter: { ids, key, state, code } }: ParkedCommand): HeldFilter {
  return { ...(ids && { ids }), ...(key && { key }), ...(state && { state }), ...(code && { code }) };
}
