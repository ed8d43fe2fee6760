import { defineEvent } from '@millrace/events';
import { IDEMPOTENCY_KEY_DDL } from '@millrace/http';
import { Column, Entity, type MigrationInterface, PrimaryColumn, type QueryRunner } from 'typeorm';
import { z } from 'zod';

import { safeBigint } from '../safe-bigint.js';
import { type ServiceDefinition } from '../service-definition.js';

/** What a pot and its cups are, in an event. */
export const pourSchema = z.object({ pot: z.string(), cups: z.int() });

/** The one event of the tea service. */
export const TeaPoured = defineEvent({
  type: 'tea.poured',
  schemaVersion: 1,
  aggregate: 'tea',
  key: (payload) => payload.pot,
  schema: pourSchema,
});

/** The one table of the tea service. */
@Entity('pot')
export class PotEntity {
  @PrimaryColumn('text')
  name!: string;

  @Column('bigint', { transformer: safeBigint })
  cups!: number;
}

class Pots1700000000000 implements MigrationInterface {
  readonly name = 'Pots1700000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      create table pot (name text constraint pot_pk primary key, cups bigint not null);
      ${IDEMPOTENCY_KEY_DDL.up}`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`drop table pot; ${IDEMPOTENCY_KEY_DDL.down}`);
  }
}

/** The smallest service that there can be: a table, an event, a rule. */
export const teaService: ServiceDefinition = {
  name: 'tea',
  title: 'A tea service',
  description: 'Pours tea.',
  version: '1.0.0',
  port: 4711,
  handling: { concurrency: 3, batch: 20 },
  entities: [PotEntity],
  migrations: [Pots1700000000000],
  publishes: [TeaPoured],
  invariants: {
    figures: {
      schema: z.object({ pots: z.int(), cups: z.string() }),
      sql: `select json_build_object('pots', count(*), 'cups', coalesce(sum(cups), 0)::text) as figures from pot`,
    },
    checks: [
      {
        name: 'no-debt-of-tea',
        rule: 'No pot holds less than nothing.',
        sql: `select count(*) filter (where cups < 0) = 0 as holds, min(cups) as "leastCups" from pot`,
      },
      {
        name: 'event-per-pot',
        rule: 'The outbox has one event for each pot.',
        reads: 'millrace.outbox',
        sql: `
          select count(*) = (select count(*) from millrace.outbox) as holds, count(*) as pots,
            (select count(*) from millrace.outbox) as events
          from pot`,
      },
    ],
  },
};
