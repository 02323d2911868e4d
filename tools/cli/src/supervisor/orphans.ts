import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { getContainer, isDockerBrokerRunning } from '../backing/rabbitmq/docker-broker.ts';
import { endEpmd } from '../backing/rabbitmq/erlang.ts';
import { findRunningBroker } from '../backing/rabbitmq/private-broker.ts';
import { getStagingPath } from '../backing/postgres/postgres-binaries.ts';
import { findRunningPostgres } from '../backing/postgres/private-postgres.ts';
import { end, isAlive } from './processes.ts';
import { forgetRun, hasRun, readRun, type RunRecord, isSupervisorAlive } from './run-record.ts';
import { readKeptPorts, type StateFolder } from './state.ts';

/**
 * Ends the services of a killed supervisor, and removes its record. The next start takes over its broker and database.
 * @param run the record that was read before; nothing happens if its supervisor is alive
 * @returns the names of the ended services
 */
export async function endOrphans(state: StateFolder, run: RunRecord | undefined): Promise<string[]> {
  // An unreadable record would block every start. Records are written atomically, so none is being written now.
  if (hasRun(state) && !readRun(state)) forgetRun(state, undefined);
  if (!run || isSupervisorAlive(run)) return [];
  const orphans = run.services.filter((service) => isAlive(service.process));
  await Promise.all(orphans.map((service) => end(service.process)));
  forgetRun(state, run.supervisor);
  return orphans.map(({ name }) => name);
}

/** Ends the broker and the database of a killed supervisor. */
export async function endOrphanedBackingServices(
  state: StateFolder,
  run: RunRecord | undefined,
): Promise<void> {
  const at = { folder: join(state.folder, 'rabbitmq'), name: `jogakbo-${state.id}` };
  // A killed start may not have recorded its processes yet.
  const folders = [join(state.folder, 'postgres'), join(getStagingPath(state.id), 'data')];
  const orphaned = folders.flatMap((data) => findRunningPostgres(data)?.identity ?? []);
  const databases = [...(run?.database?.roots ?? []), ...orphaned];
  const ended = databases.map((root) => end(root, { by: 'SIGINT', timeoutMs: 20_000 }));
  const [broker, ...rest] = run?.broker?.roots ?? [];
  await end(findRunningBroker(at) ?? broker, { timeoutMs: 30_000 });
  for (const root of rest) await end(root, { timeoutMs: 2_000 });
  const { epmd } = readKeptPorts(state);
  if (epmd) await endEpmd(epmd);
  // A killed start may not have recorded its container yet.
  if (run?.broker?.kind === 'container' || (await isDockerBrokerRunning(at))) {
    try {
      execFileSync('docker', ['rm', '--force', getContainer(at)], { stdio: 'ignore', timeout: 30_000 });
    } catch {
      // Docker is not running, so the container is not running either
    }
  }
  await Promise.all(ended);
}
