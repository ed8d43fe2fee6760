import { listHeldKeys } from '@millrace/capture';
import { type Command } from 'commander';
import { heldKeyLines, jsonLines } from './parked-lines.js';
import { heldPlaceOf, tellNothing, withRoute } from './parked.command.js';
import { type Terminal } from './terminal.js';
import { UsageError } from './usage.error.js';
import { limitOption } from './whole-number.js';

interface ListOptions {
  readonly databaseUrl?: string;
  readonly route: string;
  readonly afterType?: string;
  readonly afterId?: string;
  readonly limit: number;
  readonly json?: boolean;
}

/** `millrace held-keys ...`: the keys of which a route holds events. */
export function addHeldKeysCommands(program: Command, terminal: Terminal): void {
  const heldKeys = program.command('held-keys').description('keys of which a route holds events');
  withRoute(heldKeys, 'list', 'list the keys, by name, with the length of their chains')
    .option('--after-type <type>', 'those after this key, with --after-id')
    .option('--after-id <id>', 'those after this key, with --after-type')
    .addOption(limitOption('keys'))
    .option('--json', 'one JSON object per line')
    .action(async (options: ListOptions) => {
      const { afterType: aggregateType, afterId: aggregateId, limit } = options;
      const place = heldPlaceOf(options, 'held-keys list');
      if ((aggregateType === undefined) !== (aggregateId === undefined)) {
        throw new UsageError('A key is a type and an id: give --after-type and --after-id.');
      }
      const after =
        aggregateType !== undefined && aggregateId !== undefined ? { after: { aggregateType, aggregateId } } : {};
      const keys = await listHeldKeys({ ...place, ...after, limit });
      terminal.out(options.json === true ? jsonLines(keys) : heldKeyLines(keys));
      const last = keys[keys.length - 1];
      if (last === undefined) {
        await tellNothing(terminal, place);
      } else if (keys.length === limit) {
        const { aggregateType: type, aggregateId: id } = last;
        terminal.err(`There may be more: --after-type ${JSON.stringify(type)} --after-id ${JSON.stringify(id)}\n`);
      }
    });
}
