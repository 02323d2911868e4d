import type { Reply } from '@jogakbo/contract';
import type { ListContractVersions } from '@jogakbo/contracts-registry';
import type { ServiceVersion } from '@jogakbo/delivery/src/contract-check.ts';
import {
  checkMigrations,
  findPendingMigrations,
  type MigrationBreakage,
  type PendingMigrations,
} from '@jogakbo/delivery/src/migrations/migration-check.ts';
import pg from 'pg';
import { withThrowawayDatabase } from './backing/throwaway-database.ts';
import type { BuiltService } from './built-contracts.ts';
import type { OperatorClient } from './commands/operator-client.ts';
import { migrate } from './supervisor/migrations.ts';
import { CliError } from './terminal/cli-error.ts';
import { nodePath, root } from './workspace.ts';

type History = Reply<typeof ListContractVersions>['items'];

/** A built service with migrations that have not run in the environment. */
export interface PendingService {
  candidate: BuiltService;
  migrations: PendingMigrations;
  /** All versions of the service that the registry has recorded. */
  history: History;
}

/** Finds the services whose deployment would run migrations, while versions without them are running. */
export async function findPendingServices(
  client: OperatorClient,
  candidates: readonly BuiltService[],
  running: readonly ServiceVersion[],
): Promise<PendingService[]> {
  const found: PendingService[] = [];
  for (const candidate of candidates) {
    const migrations = findPendingMigrations(candidate, running);
    if (!migrations || migrations.pending.length === 0) continue;
    const path = `/v1/ops/contracts/${encodeURIComponent(candidate.service)}`;
    const { items } = await client.get<Reply<typeof ListContractVersions>>(path);
    found.push({ candidate, migrations, history: items });
  }
  return found;
}

/** Notes about services whose running versions do not list their migrations: older ones did not. */
export const listUnknownMigrations = (
  candidates: readonly ServiceVersion[],
  running: readonly ServiceVersion[],
): string[] =>
  candidates
    .filter(({ service, contract }) => {
      const own = running.filter((one) => one.service === service);
      return contract.migrations && own.length > 0 && own.every((one) => !one.contract.migrations);
    })
    .map(
      ({ service }) => `the running version of ${service} does not list its migrations: they are not checked`,
    );

/**
 * Runs pending migrations on a private PostgreSQL, and finds those that would break a running version. Starts no server if
 * there are none.
 * @throws CliError if a migration fails
 */
export async function tryMigrations(
  services: readonly PendingService[],
  running: readonly ServiceVersion[],
): Promise<MigrationBreakage[]> {
  if (services.length === 0) return [];
  return withThrowawayDatabase(async (url) => {
    const breakages: MigrationBreakage[] = [];
    for (const service of services) breakages.push(...(await tryService(service, running, url)));
    return breakages;
  });
}

async function tryService(
  { candidate, migrations, history }: PendingService,
  running: readonly ServiceVersion[],
  serverUrl: string,
): Promise<MigrationBreakage[]> {
  const name = candidate.service.replaceAll('-', '_');
  await withClient(serverUrl, (client) => client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`));
  const url = new URL(serverUrl);
  url.pathname = `/${encodeURIComponent(name)}`;
  return withClient(url.href, (client) =>
    checkMigrations(
      candidate,
      migrations,
      { running, history },
      {
        query: async <Row>(sql: string) => (await client.query(sql)).rows as Row[],
        migrate: (names) => runMigrations(candidate, names, url.href),
      },
    ),
  );
}

async function withClient<T>(connectionString: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString });
  // Else the end of the server after a signal would end this process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function runMigrations({ app }: BuiltService, names: readonly string[], url: string): Promise<void> {
  if (names.length === 0) return;
  const env = { PATH: process.env.PATH, DATABASE_URL: url, LOCAL_MODE: 'true' };
  const launch = { command: nodePath(), args: [app.main], cwd: root, env };
  const { code, lines } = await migrate(launch, undefined, names);
  if (code === 0) return;
  throw new CliError(`The migrations of ${app.name} fail on an empty database: ${names.join(', ')}.`, {
    details: lines.slice(-20),
    remedies: [`fix apps/${app.name}/migrations`],
  });
}
