import { type Migration } from './migration.js';
import { outboxMigration } from './migrations/0001-outbox.sql.js';
import { inboxMigration } from './migrations/0002-inbox.sql.js';
import { relayMemberMigration } from './migrations/0003-relay-member.sql.js';
import { retentionMigration } from './migrations/0004-retention.sql.js';
import { publicationMigration } from './migrations/0005-publication.sql.js';
import { forkRepairMigration } from './migrations/0006-fork-repair.sql.js';
import { shardsMigration } from './migrations/0007-shards.sql.js';
import { adoptionMigration } from './migrations/0008-adoption.sql.js';
import { heldMigration } from './migrations/0009-held.sql.js';
import { ledgerOffsetMigration } from './migrations/0010-ledger-offset.sql.js';
import { deliveryMigration } from './migrations/0011-delivery.sql.js';

/** All steps, oldest first. The last one's version is what this release of Millrace needs. */
export const MIGRATIONS: readonly Migration[] = [
  outboxMigration,
  inboxMigration,
  relayMemberMigration,
  retentionMigration,
  publicationMigration,
  forkRepairMigration,
  shardsMigration,
  adoptionMigration,
  heldMigration,
  ledgerOffsetMigration,
  deliveryMigration,
];

/** The schema version that this release needs; a database may be neither older nor newer. */
export const SCHEMA_VERSION = MIGRATIONS.length;
