import { Body, Controller, HttpCode, Param, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { acceptLeafCount, inspectLeafCount, type LeafCountInspection } from '@millrace/capture';
import { ApiProblems, ProblemError } from '@millrace/http';
import { z } from 'zod';
import { RetentionRuns } from '../../retention/retention-runs.js';
import { type SourceRetention } from '../../retention/source-retention.js';
import { Caller, RequireRole } from '../auth/access.decorators.js';
import { AUTH_PROBLEMS } from '../auth/auth-problems.js';
import { type Principal } from '../auth/principal.js';
import { reasonSchema } from '../routes/reason.js';
import { count } from '../routes/view-numbers.js';

const commandSchema = z.union([
  z.strictObject({ dryRun: z.literal(true) }),
  z.strictObject({
    dryRun: z.literal(false).optional(),
    rows: count().describe('the rows of the leaf as the dry run told them'),
    reason: reasonSchema,
  }),
]);

type Command = z.infer<typeof commandSchema>;

const leafCountSchema = z
  .object({
    outcome: z.enum(['fits', 'differs', 'accepted']),
    rows: count().describe('rows of the leaf'),
    routes: z
      .array(
        z.object({
          route: z.string(),
          counted: z.int().describe('rows that the route has read of the leaf'),
          found: count().describe('rows that it should have read'),
        }),
      )
      .describe('routes whose count differs, or did until it was accepted'),
  })
  .meta({ title: 'LeafCount' });

type LeafCount = z.infer<typeof leafCountSchema>;

/** A person's decision about a leaf whose rows are not the ones that the routes have read. */
@ApiTags('retention')
@ApiBearerAuth()
@ApiProblems(AUTH_PROBLEMS)
@Controller('admin/v1/retention')
export class LeafCountsController {
  constructor(private readonly runs: RetentionRuns) {}

  @Post(':source/leaves/:lo/accept-count')
  @HttpCode(200)
  @RequireRole('admin')
  @ApiOperation({
    summary: 'Accept the rows that a leaf has',
    description:
      'First { "dryRun": true }: it tells how many rows the leaf has and what each route has read, and changes nothing. ' +
      'Then, once it is known where the difference comes from, the number of rows and the reason: the leaf can be ' +
      'emptied from then on. Writes an audit row. Counts the rows, about a second per million.',
  })
  @ApiParam({ name: 'source', description: 'name of the source' })
  @ApiParam({ name: 'lo', description: 'first position of the leaf; 0 is the default partition' })
  @ApiResponse({ status: 200, description: 'the count', standardSchema: leafCountSchema })
  @ApiProblems({
    400: 'the body or the position is not valid',
    404: 'no such source or leaf',
    409: 'the leaf is not settled, or has another number of rows than was sent',
    503: 'the source can not be asked now',
  })
  async acceptCount(
    @Param('source') source: string,
    @Param('lo') lo: string,
    @Body({ schema: commandSchema }) command: Command,
    @Caller() caller: Principal,
  ): Promise<LeafCount> {
    const retention = this.find(source);
    const leaf = { databaseUrl: retention.databaseUrl, lo: positionOf(lo) };
    const found = answerOf(await inspectLeafCount(leaf));
    if (command.dryRun === true || found.outcome === 'fits') {
      return found;
    }
    const { rows, reason } = command;
    if (rows !== found.rows) {
      throw new ProblemError('conflict', `The leaf has ${found.rows} rows now: look again with { "dryRun": true }.`);
    }
    const result = await acceptLeafCount({ ...leaf, rows, actor: caller.name, reason });
    if (result.kind === 'changed') {
      throw new ProblemError('conflict', 'The leaf has just got other rows: look again with { "dryRun": true }.');
    }
    if (result.kind === 'refused') {
      throw refused(result.obstacle, result.route);
    }
    retention.runSoon();
    return { ...found, outcome: 'accepted' };
  }

  private find(source: string): SourceRetention {
    const found = this.runs.find(source);
    if (found === undefined) {
      throw new ProblemError('not-found', 'This relay has no source of this name; GET /admin/v1/retention lists all.');
    }
    return found;
  }
}

function positionOf(text: string): bigint {
  if (!/^\d{1,18}$/.test(text)) {
    throw new ProblemError('invalid-request', 'A leaf is named by its first position, a number; 0 is the default one.');
  }
  return BigInt(text);
}

function answerOf(inspection: LeafCountInspection): LeafCount {
  if (inspection.kind === 'refused') {
    throw refused(inspection.obstacle, inspection.route);
  }
  const { kind: outcome, rows, routes } = inspection;
  return { outcome, rows, routes: [...routes] };
}

function refused(obstacle: string, route: string | null): ProblemError {
  switch (obstacle) {
    case 'unknown_leaf':
      return new ProblemError('not-found', 'No leaf begins at this position; GET /admin/v1/retention lists all.');
    case 'held':
      return new ProblemError(
        'conflict',
        route === null
          ? 'Nothing came of the last positions of this leaf: its count is final after the next row.'
          : `Route ${route} has not settled the leaf yet: its count is not final.`,
      );
    case 'locked':
      return new ProblemError(
        'conflict',
        'Somebody has the leaf locked, or retention is at work on it: send it again.',
      );
    case 'ahead':
    case 'in_use':
      return new ProblemError('conflict', 'New rows still go to this leaf: its count is not final.');
    default:
      return new ProblemError(
        'conflict',
        `The ledger of route ${route ?? ''} belongs to another server or timeline: its count is not final before the route ` +
          'has repaired it, which it does by itself when it runs.',
      );
  }
}
