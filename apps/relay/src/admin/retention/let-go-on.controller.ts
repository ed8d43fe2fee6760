import { Body, Controller, HttpCode, Param, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { letRouteGoOn, readRetentionStatus } from '@millrace/capture';
import { ApiProblems, ProblemError } from '@millrace/http';
import { RelayEngine } from '@millrace/relay';
import { z } from 'zod';
import { RetentionRuns } from '../../retention/retention-runs.js';
import { Caller, RequireRole } from '../auth/access.decorators.js';
import { AUTH_PROBLEMS } from '../auth/auth-problems.js';
import { type Principal } from '../auth/principal.js';
import { reasonSchema } from '../routes/reason.js';
import { bigNumber } from '../routes/view-numbers.js';

const DAY_S = 86_400;

const commandSchema = z.strictObject({
  reason: reasonSchema,
  exemptSeconds: z
    .int()
    .min(0)
    .max(90 * DAY_S)
    .default(DAY_S)
    .describe('so long it does not expire again, whatever it holds'),
});

type Command = z.infer<typeof commandSchema>;

const lettingGoOnSchema = z
  .object({
    route: z.string(),
    ledgers: z
      .array(
        z.object({
          ledger: z.string().describe('the route, or one of its shards'),
          lost: z
            .object({ from: bigNumber, to: bigNumber })
            .nullable()
            .describe('positions among which rows were removed that it had not settled; null: none'),
        }),
      )
      .describe('what had expired; empty: nothing had'),
  })
  .meta({ title: 'LettingGoOn' });

type LettingGoOn = z.infer<typeof lettingGoOnSchema>;

/** A person's decision about a route that retention has let expire. */
@ApiTags('retention')
@ApiBearerAuth()
@ApiProblems(AUTH_PROBLEMS)
@Controller('admin/v1/routes')
export class LetGoOnController {
  constructor(
    private readonly engine: RelayEngine,
    private readonly runs: RetentionRuns,
  ) {}

  @Post(':route/let-go-on')
  @HttpCode(200)
  @RequireRole('operator')
  @ApiOperation({
    summary: 'Let an expired route go on',
    description:
      'It goes on with the rows that are still there, with an audit row, and this relay starts it anew; a pause stays. ' +
      'The answer tells among which positions rows are gone: make up for them from the archive, or in the consumers. ' +
      'Letting a route go on that has not expired changes nothing.',
  })
  @ApiParam({ name: 'route', description: 'name of the route' })
  @ApiResponse({ status: 200, description: 'what was lost', standardSchema: lettingGoOnSchema })
  @ApiProblems({
    400: 'the body is not valid',
    404: 'no such route',
    409: 'the route has no ledger yet: it has never run',
    503: 'the source of the route can not be changed now',
  })
  async letGoOn(
    @Param('route') route: string,
    @Body({ schema: commandSchema }) { reason, exemptSeconds }: Command,
    @Caller() caller: Principal,
  ): Promise<LettingGoOn> {
    const retention = this.runs.find(this.engine.routeStatus(route).source);
    if (retention === undefined) {
      throw new ProblemError('not-found', 'The source of this route is not looked after by this relay.');
    }
    const { databaseUrl } = retention;
    const ledgers: LettingGoOn['ledgers'] = [];
    for (const ledger of await expiredLedgers(databaseUrl, route)) {
      const request = { databaseUrl, route: ledger, actor: caller.name, reason, exemptMs: exemptSeconds * 1_000 };
      const result = await letRouteGoOn(request);
      if (result.kind === 'goes_on') {
        const { lost } = result;
        ledgers.push({ ledger, lost: lost === null ? null : { from: String(lost.from), to: String(lost.to) } });
      }
    }
    if (ledgers.length > 0 || this.isStopped(route)) {
      await this.engine.startAnew(route);
    }
    retention.runSoon();
    return { route, ledgers };
  }

  /** Also by a relay whose neighbour was asked to let the route go on. */
  private isStopped(route: string): boolean {
    return this.engine
      .status()
      .some(
        ({ shardOf, state }) => shardOf === route && state.kind === 'stopped' && state.problem.code === 'route_expired',
      );
  }
}

/** The ledgers of a route that have expired: its own, or those of its shards. */
async function expiredLedgers(databaseUrl: string, route: string): Promise<readonly string[]> {
  const { routes } = await readRetentionStatus({ databaseUrl, keepMs: null });
  return routes
    .filter((hold) => hold.isExpired && (hold.route === route || hold.route.startsWith(`${route}/`)))
    .map((hold) => hold.route);
}
