import type { MigrationDescription } from '@jogakbo/contract';
import type { ServiceVersion } from '../contract-check.ts';
import { compareShapes } from './compare-shapes.ts';
import { type QueryDatabase, readDatabaseShape } from './database-shape.ts';
import { isSince, type KnownVersion } from './version-order.ts';

/** A change of a database that breaks a version which is still running. */
export interface MigrationBreakage {
  service: string;
  migration: string;
  /** A sentence about the database. */
  change: string;
  /** The running versions that it may break. */
  running: string[];
  /** Set if the migration declares since which version nothing uses what it removes. */
  unusedSince?: string;
}

/** An empty database, and the migrations of a candidate for it. */
export interface TrialDatabase {
  query: QueryDatabase;
  /** Runs these migrations of the candidate. */
  migrate(names: readonly string[]): Promise<void>;
}

/** The migrations that a deployment would run. */
export interface PendingMigrations {
  /** Those of the candidate that have run already. */
  applied: MigrationDescription[];
  pending: MigrationDescription[];
}

/**
 * Finds the migrations of a candidate that no running version of its service contains.
 * @returns undefined if no version is running, or none of them lists its migrations: then nothing can be compared
 */
export function findPendingMigrations(
  candidate: ServiceVersion,
  running: readonly ServiceVersion[],
): PendingMigrations | undefined {
  const own = running.filter(({ service }) => service === candidate.service);
  const known = own.flatMap(({ contract }) => contract.migrations ?? []);
  if (known.length === 0) return undefined;
  const hasRun = ({ name }: MigrationDescription) => known.some((one) => one.name === name);
  const all = candidate.contract.migrations ?? [];
  return { applied: all.filter(hasRun), pending: all.filter((one) => !hasRun(one)) };
}

/**
 * Runs the pending migrations of a candidate on an empty copy of its database, and compares the database before and after
 * each one. While they run, instances of the version before are still running, and a rollback starts them again.
 * @param running the running versions of its service @param history all versions of its service
 * @throws the error of a migration that fails
 */
export async function checkMigrations(
  candidate: ServiceVersion,
  { applied, pending }: PendingMigrations,
  { running, history }: { running: readonly ServiceVersion[]; history: readonly KnownVersion[] },
  database: TrialDatabase,
): Promise<MigrationBreakage[]> {
  const versions = running
    .filter(({ service }) => service === candidate.service)
    .map(({ version }) => version);
  await database.migrate(applied.map(({ name }) => name));
  let before = await readDatabaseShape(database.query);
  const breakages: MigrationBreakage[] = [];
  for (const { name, unusedSince } of pending) {
    await database.migrate([name]);
    const after = await readDatabaseShape(database.query);
    const older = versions.filter(
      (version) => unusedSince === undefined || !isSince(version, unusedSince, history),
    );
    if (older.length > 0)
      breakages.push(
        ...compareShapes(before, after).map((change) => ({
          ...{ service: candidate.service, migration: name, change, running: [...new Set(older)] },
          ...(unusedSince !== undefined && { unusedSince }),
        })),
      );
    before = after;
  }
  return breakages;
}

/** Describes what migrations would break, and the way out. */
export function formatMigrationBreakages(breakages: readonly MigrationBreakage[]): string[] {
  const migrations = new Map<string, MigrationBreakage[]>();
  for (const one of breakages) {
    const key = `${one.service} ${one.migration}`;
    migrations.set(key, [...(migrations.get(key) ?? []), one]);
  }
  return [...migrations.values()].flatMap((some) => {
    const [{ service, migration, running, unusedSince }] = some as [MigrationBreakage];
    return [
      `${service} cannot be deployed: its migration ${migration} would break ${running.join(', ')}, which is running:`,
      ...some.map(({ change }) => `  ${change}`),
      unusedSince === undefined
        ? '    way out: first deploy a version that works with and without it, then remove it with unusedSince of that version'
        : `    way out: deploy ${service} ${unusedSince} first: since then nothing uses what is removed`,
    ];
  });
}
