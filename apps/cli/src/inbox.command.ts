import {
  type AdminTarget,
  discardSetAside,
  listConsumers,
  listSetAside,
  retrySetAside,
  type SetAsideFilter,
  thawPartition,
} from '@millrace/inbox/admin';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { cliActor } from './cli-actor.js';
import { databaseUrlOption, givenUrl } from './database-url.js';
import { setAsideJson, setAsideLines } from './set-aside-lines.js';
import { type Terminal } from './terminal.js';
import { UsageError } from './usage.error.js';
import { parseWhole } from './whole-number.js';

interface ConsumerOptions {
  readonly databaseUrl?: string;
  readonly consumer: string;
}

interface ChoiceOptions extends ConsumerOptions {
  readonly id?: string;
  readonly key?: string;
  readonly topic?: string;
  readonly code?: string;
}

interface ListOptions extends ChoiceOptions {
  readonly held?: boolean;
  readonly since?: Date;
  readonly attempts?: number;
  readonly limit: number;
  readonly json?: boolean;
}

interface RetryOptions extends ChoiceOptions {
  readonly all?: boolean;
  readonly reason?: string;
  readonly dryRun?: boolean;
}

interface DiscardOptions extends ChoiceOptions {
  readonly reason: string;
  readonly dryRun?: boolean;
}

interface ThawOptions extends ConsumerOptions {
  readonly topic: string;
  readonly partition: number;
  readonly reason: string;
}

/** `millrace inbox ...`: what an operator sees and decides of events that a consumer has set aside. */
export function addInboxCommands(program: Command, terminal: Terminal): void {
  const inbox = program.command('inbox').description('events that a consumer has set aside, and what becomes of them');
  addList(inbox, terminal);
  addRetry(inbox, terminal);
  addDiscard(inbox, terminal);
  addThaw(inbox, terminal);
}

function addList(inbox: Command, terminal: Terminal): void {
  withChoice(inbox, 'parked', 'list events that wait for a person; never their contents')
    .option('--held', 'also those that are tried again by themselves')
    .addOption(new Option('--since <time>', 'set aside then or later, as 2026-11-21T10:00:00Z').argParser(parseTime))
    .addOption(new Option('--attempts <count>', 'failed so often, or more often').argParser(parseWhole))
    .addOption(new Option('--limit <events>', 'at most so many, up to 1000').default(100).argParser(parseWhole))
    .option('--json', 'one JSON object per line')
    .action(async (options: ListOptions) => {
      const { since, attempts, limit, consumer } = options;
      const filter: SetAsideFilter = {
        ...filterOf(options),
        status: options.held === true ? undefined : 'parked',
        since,
        attemptsMin: attempts,
      };
      const target = targetOf(options, 'parked');
      const events = await listSetAside(target, { consumer, filter, limit });
      terminal.out(options.json === true ? setAsideJson(events) : setAsideLines(events));
      if (events.length === 0) {
        requireKnown(consumer, await listConsumers(target));
        terminal.err(`Nothing that fits is set aside for consumer ${consumer}.\n`);
      }
    });
}

function addRetry(inbox: Command, terminal: Terminal): void {
  withChoice(inbox, 'retry', 'have chains tried again at once, from their first event on')
    .option('--all', 'all chains of the consumer')
    .option('--reason <text>', 'kept in the audit trail')
    .option('--dry-run', 'say how many, and change nothing')
    .action(async (options: RetryOptions) => {
      const filter = filterOf(options);
      if (options.all !== true && isEmpty(filter)) {
        throw new UsageError('Name the chains: --key, --code, --topic or --id, or give --all.');
      }
      const chains = await retrySetAside(targetOf(options, 'retry'), {
        ...requestOf(options, options.reason ?? null),
        filter,
      });
      terminal.out(
        options.dryRun === true
          ? `Would have ${counted(chains, 'chain')} tried again. Nothing was changed.\n`
          : `${counted(chains, 'chain')} due now; the consumer tries them within seconds.\n`,
      );
    });
}

function addDiscard(inbox: Command, terminal: Terminal): void {
  withChoice(inbox, 'discard', 'give up one event by its id, or the first event of each chain; those behind it go on')
    .requiredOption('--reason <text>', 'why it is right; kept in the audit trail')
    .option('--dry-run', 'say which, and change nothing')
    .action(async (options: DiscardOptions) => {
      const events = await discardSetAside(targetOf(options, 'discard'), {
        ...requestOf(options, options.reason),
        filter: filterOf(options),
      });
      for (const { id, topic, partition, offset, key, type } of events) {
        terminal.out(`${id} ${topic}/${partition}@${offset} ${type} key ${JSON.stringify(key)}\n`);
      }
      terminal.out(
        options.dryRun === true
          ? `Would discard ${counted(events.length, 'event')}. Nothing was changed.\n`
          : `Discarded ${counted(events.length, 'event')}.\n`,
      );
    });
}

function addThaw(inbox: Command, terminal: Terminal): void {
  withConsumer(inbox, 'thaw', 'let the floors of a partition move again after offsets were skipped and made good')
    .requiredOption('--topic <topic>', 'topic of the partition')
    .addOption(new Option('--partition <number>', 'the partition').makeOptionMandatory().argParser(parseWhole))
    .requiredOption('--reason <text>', 'why it is right; kept in the audit trail')
    .action(async (options: ThawOptions) => {
      const { topic, partition, reason } = options;
      const { from, to } = await thawPartition(targetOf(options, 'thaw'), {
        ...requestOf(options, reason),
        topic,
        partition,
      });
      terminal.out(
        `Accepted that offsets ${from} to ${to} of ${topic}/${partition} never came. Its floors move again.\n`,
      );
    });
}

function withConsumer(inbox: Command, name: string, description: string): Command {
  return inbox
    .command(name)
    .description(description)
    .addOption(databaseUrlOption("the service's"))
    .requiredOption('--consumer <name>', "the consumer, which is its group's name");
}

function withChoice(inbox: Command, name: string, description: string): Command {
  return withConsumer(inbox, name, description)
    .option('--id <uuid>', 'the event, or the chain that holds it')
    .option('--key <key>', 'the chain of this key')
    .option('--topic <topic>', 'chains of this topic')
    .option('--code <code>', 'chains that were set aside for this');
}

function targetOf({ databaseUrl }: ConsumerOptions, command: string): AdminTarget {
  return { databaseUrl: givenUrl(databaseUrl, `inbox ${command}`) };
}

function filterOf({ id, key, topic, code }: ChoiceOptions): SetAsideFilter {
  return { id, key, topic, code };
}

/** A name that is mistyped has nothing set aside either. */
function requireKnown(consumer: string, known: readonly string[]): void {
  if (!known.includes(consumer)) {
    throw new UsageError(
      `No consumer ${consumer} is known in this database: ` +
        (known.length === 0 ? 'none has read an event here yet.' : `it knows ${known.join(', ')}.`),
    );
  }
}

function isEmpty(filter: SetAsideFilter): boolean {
  return Object.values(filter).every((value) => value === undefined);
}

function requestOf(
  { consumer, dryRun = false }: ConsumerOptions & { readonly dryRun?: boolean },
  reason: string | null,
): { consumer: string; actor: string; reason: string | null; isDryRun: boolean } {
  return { consumer, actor: cliActor(), reason, isDryRun: dryRun };
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function parseTime(text: string): Date {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) {
    throw new InvalidArgumentError('Give a time such as 2026-11-21T10:00:00Z.');
  }
  return time;
}
