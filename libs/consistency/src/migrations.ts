import { Consistency1700000000000 } from './consistency.migration.ts';
import { EventStore1700000000500 } from './event-store.migration.ts';
import { EventWithoutKeyId1700000000700 } from './event-without-key-id.migration.ts';
import { InboxSender1700000000100 } from './inbox-sender.migration.ts';
import { MadeQueues1700000000200 } from './made-queues.migration.ts';
import { OpenSagas1700000000400 } from './open-sagas.migration.ts';
import { OutboxRepeats1700000000300 } from './outbox-repeats.migration.ts';
import { PersonalKeyIds1700000000600 } from './personal-key-ids.migration.ts';

/** The tables that every service with a database needs. List them first. */
export const consistencyMigrations = [
  Consistency1700000000000,
  InboxSender1700000000100,
  MadeQueues1700000000200,
  OutboxRepeats1700000000300,
  OpenSagas1700000000400,
] as const;

/** The tables of aggregates and projections. List them after `consistencyMigrations`. */
export const eventStoreMigrations = [
  EventStore1700000000500,
  PersonalKeyIds1700000000600,
  EventWithoutKeyId1700000000700,
] as const;
