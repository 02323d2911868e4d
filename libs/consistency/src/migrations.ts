import { Consistency1700000000000 } from './consistency.migration.ts';
import { InboxSender1700000000100 } from './inbox-sender.migration.ts';
import { MadeQueues1700000000200 } from './made-queues.migration.ts';

/** The tables that every service with a database needs. List them first. */
export const consistencyMigrations = [
  Consistency1700000000000,
  InboxSender1700000000100,
  MadeQueues1700000000200,
] as const;
