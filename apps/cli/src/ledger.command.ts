import { userInfo } from 'node:os';
import { adoptLedger } from '@millrace/capture';
import { type Command, Option } from 'commander';
import { type Terminal } from './terminal.js';
import { UsageError } from './usage.error.js';

interface AdoptCommandOptions {
  readonly databaseUrl?: string;
  readonly route: string;
  readonly reason: string;
}

/** `millrace ledger ...`: what an operator decides about a route's ledger. */
export function addLedgerCommands(program: Command, terminal: Terminal): void {
  const ledger = program.command('ledger').description("a person's decisions about the ledger of a route");
  ledger
    .command('adopt')
    .description('let a route go on after a fail-over or restore, once the outbox was compared with the topic')
    .addOption(
      new Option('-d, --database-url <url>', 'postgres://user:password@host:port/database').env('DATABASE_URL'),
    )
    .requiredOption('--route <route>', 'the route that stopped with identity_changed')
    .requiredOption('--reason <text>', 'why it is safe; kept in the audit trail')
    .action(async ({ databaseUrl, route, reason }: AdoptCommandOptions) => {
      if (databaseUrl === undefined) {
        throw new UsageError('Name the database: millrace ledger adopt --database-url URL, or set DATABASE_URL.');
      }
      await adoptLedger({ databaseUrl, route, reason, actor: `cli ${userInfo().username}` });
      terminal.out(`The ledger of route ${route} belongs to this server now. Resume the route.\n`);
    });
}
