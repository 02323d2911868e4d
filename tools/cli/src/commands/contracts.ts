import {
  checkContracts,
  checkEarlierVersion,
  type ContractCheck,
} from '@jogakbo/delivery/src/contract-check.ts';
import type { Release } from '@jogakbo/delivery/src/engine.ts';
import { formatBreakages } from '@jogakbo/delivery/src/format-breakages.ts';
import {
  formatMigrationBreakages,
  type MigrationBreakage,
} from '@jogakbo/delivery/src/migrations/migration-check.ts';
import { Interrupted } from '../backing/throwaway-database.ts';
import { type BuiltService, readBuiltContracts, selectApps } from '../built-contracts.ts';
import {
  distinguishVersions,
  readInstances,
  readRecordedVersion,
  readRunningVersions,
} from '../running-versions.ts';
import { openState } from '../supervisor/state.ts';
import { readVersions } from '../supervisor/versions.ts';
import { CliError, UsageError } from '../terminal/cli-error.ts';
import { toPrintable, toPrintableJson } from '../terminal/printable.ts';
import { formatTable } from '../terminal/text-table.ts';
import { findPendingServices, listUnknownMigrations, tryMigrations } from '../trial-migrations.ts';
import { asOperator } from './operator-client.ts';

export interface ContractsOptions {
  url?: string;
  json?: boolean;
}

/** The result of `contracts check`, also as JSON. */
export interface DeploymentCheck extends ContractCheck {
  migrations: MigrationBreakage[];
}

/**
 * Checks whether the built services may be deployed beside the versions that are running.
 * @returns 0 if they may, 1 if that would break something, 130 after Ctrl-C
 * @throws UsageError if that cannot be checked
 */
export async function checkContractsOf(names: string[], { url, json }: ContractsOptions): Promise<number> {
  try {
    const { candidates, check } = await asUsageError(async () => {
      const built = readBuiltContracts(selectApps(names), await readVersions(() => undefined));
      return { candidates: built, check: await checkDeployment(built, url) };
    });
    console.log(json ? toPrintableJson(check) : formatCheck(candidates, check).map(toPrintable).join('\n'));
    return isRefused(check) ? 1 : 0;
  } catch (error) {
    if (error instanceof Interrupted) return 130;
    throw error;
  }
}

/** Checks built services against the versions that are running. @throws CliError if these are not known */
export async function checkDeployment(
  candidates: readonly BuiltService[],
  url?: string,
): Promise<DeploymentCheck> {
  const { running, pending } = await asOperator(
    openState(),
    async (client) => {
      const versions = await readRunningVersions(client);
      return { running: versions, pending: await findPendingServices(client, candidates, versions) };
    },
    url,
  );
  const migrations = await tryMigrations(pending, running);
  const check = checkContracts({ candidates, running });
  return { ...check, migrations, notes: [...check.notes, ...listUnknownMigrations(candidates, running)] };
}

/** Checks a version of earlier against the versions that are running. Migrations are never undone. */
export async function checkRollback(release: Release, url?: string): Promise<DeploymentCheck> {
  const { running, candidate } = await asOperator(
    openState(),
    async (client) => ({
      running: await readRunningVersions(client),
      candidate: await readRecordedVersion(client, release),
    }),
    url,
  );
  if (!candidate) {
    const notes = [
      `the registry has no contract of ${release.service} ${release.version}: it is not compared`,
    ];
    return { breakages: [], migrations: [], order: [], cycles: [], notes };
  }
  return { ...checkEarlierVersion(candidate, running), migrations: [] };
}

export const isRefused = ({ breakages, migrations }: DeploymentCheck): boolean =>
  breakages.length + migrations.length > 0;

/** What would break, which consumers, and the way out. */
export const formatRefusal = (check: DeploymentCheck): string[] => [
  ...formatBreakages(check),
  ...formatMigrationBreakages(check.migrations),
];

function formatCheck(candidates: readonly BuiltService[], check: DeploymentCheck): string[] {
  const notes = check.notes.map((note) => `note: ${note}`);
  if (isRefused(check)) return [...formatRefusal(check), ...notes];
  const [only, ...more] = candidates;
  if (only && more.length === 0) return [`${only.service} may be deployed.`, ...notes];
  return [
    `${candidates.length} services may be deployed, in this order: ${check.order.join(', ')}.`,
    ...notes,
  ];
}

/** Lists the versions that are running. */
export async function listContracts({ url, json }: ContractsOptions): Promise<number> {
  const instances = await asUsageError(() => asOperator(openState(), readInstances, url));
  const versions = distinguishVersions(instances).map(({ service, version, contractHash, upstream }) => ({
    ...{ service, version, contractHash, upstream },
    instances: instances.filter(
      (one) => one.service === service && one.version === version && one.contractHash === contractHash,
    ).length,
  }));
  if (json) console.log(toPrintableJson(versions));
  else {
    const rows = versions.map((one) => [
      ...[one.service, one.version, String(one.instances), one.upstream, one.contractHash],
    ]);
    console.log(
      formatTable([['service', 'version', 'instances', 'reached over', 'contract'], ...rows]).join('\n'),
    );
  }
  return 0;
}

/** Exit code 1 means that something would break: what prevents the check must end with another one. */
async function asUsageError<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CliError) || error instanceof UsageError) throw error;
    const { message, details, remedies } = error;
    throw new UsageError(message, { details: [...details], remedies: [...remedies] });
  }
}
