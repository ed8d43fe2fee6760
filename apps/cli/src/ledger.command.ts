import { adoptLedger } from '@millrace/capture';
import { type Command } from 'commander';
import { cliActor } from './cli-actor.js';
import { databaseUrlOption, givenUrl } from './database-url.js';
import { type Terminal } from './terminal.js';

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
    .addOption(databaseUrlOption())
    .requiredOption('--route <route>', 'the route that stopped with identity_changed')
    .requiredOption('--reason <text>', 'why it is safe; kept in the audit trail')
    .action(async ({ databaseUrl, route, reason }: AdoptCommandOptions) => {
      const adopted = await adoptLedger({
        databaseUrl: givenUrl(databaseUrl, 'ledger adopt'),
        route,
        reason,
        actor: cliActor(),
      });
      terminal.out(
        adopted === 0
          ? `The ledger of route ${route} belongs to this server already: nothing was to do, and nothing was changed.\n`
          : `The ledger of route ${route} belongs to this server now. Resume the route.\n`,
      );
    });
}
