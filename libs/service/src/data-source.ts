import type { Type } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { createPreparingClient } from './prepared-statements.ts';
import { serviceOptions, type MigrationClass } from './service.ts';
import type { DatabaseSettings } from './settings.ts';
import type { StatementSpans } from './statement-spans.ts';

const runsOutsideTransaction = (Migration: MigrationClass): boolean => new Migration().transaction === false;

/**
 * Creates a data source that runs no migrations: the deploy step does.
 * @param migrations by default all of the service
 * @param spans records a span for every statement
 */
export function createDataSource(
  module: Type,
  { databaseUrl, databasePool }: DatabaseSettings,
  migrations: MigrationClass[] = serviceOptions(module).migrations ?? [],
  spans?: StatementSpans,
): DataSource {
  const { contract, entities } = serviceOptions(module);
  return new DataSource({
    type: 'postgres',
    url: databaseUrl,
    applicationName: contract.name,
    entities: entities ?? [],
    migrations,
    // All or none: a failed deployment leaves the schema as it was. A migration may opt out, such as to create an index
    // concurrently.
    migrationsTransactionMode: migrations.some(runsOutsideTransaction) ? 'each' : 'all',
    synchronize: false,
    poolSize: databasePool,
    connectTimeoutMS: 5_000,
    extra: {
      Client: createPreparingClient(spans),
      pipeline: true,
      idleTimeoutMillis: 30_000,
      keepAlive: true,
    },
  });
}
