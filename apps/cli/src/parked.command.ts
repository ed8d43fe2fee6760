import {
  changeHeld,
  countParked,
  HELD_STATES,
  type HeldAction,
  type HeldActionResult,
  type HeldFilter,
  type HeldPlace,
  type HeldState,
  listParked,
  previewHeld,
} from '@millrace/capture';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { cliActor } from './cli-actor.js';
import { databaseUrlOption, givenUrl } from './database-url.js';
import { counted, jsonLines, parkedCodeLines, parkedLines } from './parked-lines.js';
import { type Terminal } from './terminal.js';
import { UsageError } from './usage.error.js';
import { limitOption, parseWhole } from './whole-number.js';

interface RouteOptions {
  readonly databaseUrl?: string;
  readonly route: string;
}

interface ListOptions extends RouteOptions {
  readonly state?: HeldState;
  readonly code?: string;
  readonly byCode?: boolean;
  readonly after?: bigint;
  readonly limit: number;
  readonly json?: boolean;
}

interface ActionOptions extends RouteOptions {
  readonly id?: readonly string[];
  readonly aggregateType?: string;
  readonly aggregateId?: string;
  readonly state?: HeldState;
  readonly code?: string;
  readonly all?: boolean;
  readonly reason?: string;
  readonly dryRun?: boolean;
  readonly confirm?: number;
  readonly json?: boolean;
}

/** `millrace parked ...`: events that a route could not publish, and what a person decides about them. */
export function addParkedCommands(program: Command, terminal: Terminal): void {
  const parked = program
    .command('parked')
    .description('events that a route could not publish, and what becomes of them');
  addList(parked, terminal);
  addAction(parked, terminal, 'retry', 'have chains tried again at once, from their first event on');
  addAction(parked, terminal, 'discard', 'give events up: they are never published; those behind them go on');
}

/** The options that say which route is meant. */
export function withRoute(group: Command, name: string, description: string): Command {
  return group
    .command(name)
    .description(description)
    .addOption(databaseUrlOption("the source's"))
    .requiredOption('--route <route>', 'the route, as a whole');
}

/** Where its events are held. */
export function heldPlaceOf({ databaseUrl, route }: RouteOptions, command: string): HeldPlace {
  return { databaseUrl: givenUrl(databaseUrl, command), route };
}

/** Says that there is nothing; throws `CaptureError` when there is no such route: a mistyped one has nothing held either. */
export async function tellNothing(terminal: Terminal, place: HeldPlace): Promise<void> {
  await previewHeld(place, {});
  terminal.err(`Nothing that fits is held for route ${place.route}.\n`);
}

function addList(parked: Command, terminal: Terminal): void {
  withRoute(parked, 'list', 'list events that were refused; never their contents')
    .addOption(stateOption())
    .option('--code <code>', 'those that were refused for this')
    .addOption(
      new Option('--by-code', 'how many there are of each code and state').conflicts(['code', 'state', 'after']),
    )
    .addOption(new Option('--after <position>', 'those above this position').argParser(parsePosition))
    .addOption(limitOption('events'))
    .option('--json', 'one JSON object per line')
    .action(async (options: ListOptions) => {
      const place = heldPlaceOf(options, 'parked list');
      if (options.byCode === true) {
        const codes = await countParked(place);
        terminal.out(options.json === true ? jsonLines(codes) : parkedCodeLines(codes));
        await (codes.length === 0 ? tellNothing(terminal, place) : undefined);
        return;
      }
      const { state, code, after, limit } = options;
      const chosen = { ...(state && { state }), ...(code && { code }), ...(after !== undefined && { after }) };
      const events = await listParked({ ...place, ...chosen, limit });
      terminal.out(options.json === true ? jsonLines(events) : parkedLines(events));
      const last = events[events.length - 1];
      if (last === undefined) {
        await tellNothing(terminal, place);
      } else if (events.length === limit) {
        terminal.err(`There may be more: --after ${last.position}\n`);
      }
    });
}

function addAction(parked: Command, terminal: Terminal, action: HeldAction, description: string): void {
  withRoute(parked, action, description)
    .addOption(new Option('--id <uuid...>', 'these events').argParser(collectIds))
    .option('--aggregate-type <type>', 'events of a key, with --aggregate-id')
    .option('--aggregate-id <id>', 'events of a key, with --aggregate-type')
    .addOption(stateOption())
    .option('--code <code>', 'those that were refused for this')
    .option('--all', 'all of the route, those included that only wait')
    .option(
      '--reason <text>',
      action === 'discard' ? 'why it is right; kept in the audit trail' : 'kept in the audit trail',
    )
    .option('--dry-run', 'tell how many events that is, and change nothing')
    .addOption(
      new Option('--confirm <events>', 'so many as the dry run told; otherwise nothing is done').argParser(parseWhole),
    )
    .option('--json', 'one JSON object, for programs')
    .action(async (options: ActionOptions) => {
      const place = heldPlaceOf(options, `parked ${action}`);
      const filter = filterOf(options);
      const { reason = null, confirm, dryRun = false } = options;
      requireDecision(action, options);
      const result = dryRun
        ? await previewHeld(place, filter)
        : await changeHeld({
            ...place,
            action,
            filter,
            actor: cliActor(),
            reason,
            ...(confirm !== undefined && { confirm }),
          });
      if (!dryRun && confirm !== undefined && confirm !== result.events) {
        throw new UsageError(
          `There are ${result.events} such events now, not ${confirm}. Nothing was changed: look again with --dry-run.`,
        );
      }
      const { route } = place;
      terminal.out(
        options.json === true
          ? jsonLines([{ route, action, dryRun, ...result }])
          : outcomeLine({ action, dryRun, result }),
      );
    });
}

/** What is given up is given up by somebody who has seen how much it is, and says why. */
function requireDecision(action: HeldAction, { dryRun, confirm, reason }: ActionOptions): void {
  if (action === 'discard' && dryRun !== true && (confirm === undefined || reason === undefined)) {
    throw new UsageError('Look first with --dry-run, then give --confirm with the number that it told, and --reason.');
  }
}

function filterOf({ id: ids, aggregateType, aggregateId, state, code, all }: ActionOptions): HeldFilter {
  if ((aggregateType === undefined) !== (aggregateId === undefined)) {
    throw new UsageError('A key is --aggregate-type and --aggregate-id: give both.');
  }
  const key = aggregateType !== undefined && aggregateId !== undefined ? { key: { aggregateType, aggregateId } } : {};
  const filter: HeldFilter = { ...(ids && { ids }), ...key, ...(state && { state }), ...(code && { code }) };
  const isEmpty = Object.keys(filter).length === 0;
  if (isEmpty === (all !== true)) {
    throw new UsageError(
      'Name the events: --id, --aggregate-type with --aggregate-id, --state or --code, or give --all.',
    );
  }
  return filter;
}

function outcomeLine({
  action,
  dryRun,
  result: { events, keys, done },
}: {
  readonly action: HeldAction;
  readonly dryRun: boolean;
  readonly result: HeldActionResult;
}): string {
  const of = `of ${counted(keys, 'key')}`;
  if (dryRun) {
    const what =
      action === 'retry'
        ? `have ${counted(events, 'event')} ${of} tried again`
        : `discard ${counted(events, 'event')} ${of}`;
    return `Would ${what}. Nothing was changed; to do it: --confirm ${events}\n`;
  }
  return action === 'retry'
    ? `${counted(done, 'event')} ${of} due now; the relay that runs the route tries them within seconds.\n`
    : `Discarded ${counted(done, 'event')} ${of}; what waited behind them goes on within seconds.\n`;
}

function stateOption(): Option {
  return new Option('--state <state>', 'held: tried by itself; parked: waits for a person; skipped: left out').choices(
    HELD_STATES,
  );
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const IDS_MAX = 1_000;

function collectIds(id: string, before: readonly string[] = []): readonly string[] {
  if (!UUID.test(id) || before.length === IDS_MAX) {
    throw new InvalidArgumentError(`Give the id of an event, a UUID; up to ${IDS_MAX} of them.`);
  }
  return [...before, id];
}

function parsePosition(text: string): bigint {
  if (!/^\d{1,18}$/.test(text)) {
    throw new InvalidArgumentError('Give a position, a whole number.');
  }
  return BigInt(text);
}
