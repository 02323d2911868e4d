import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { getContainer } from '../backing/rabbitmq/docker-broker.ts';
import { brokerLeftRunning, endEpmd } from '../backing/rabbitmq/private-broker.ts';
import { stagingPath } from '../backing/postgres/postgres-binaries.ts';
import { postgresLeftRunning } from '../backing/postgres/private-postgres.ts';
import { end, isAlive } from './processes.ts';
import { forgetRun, hasRun, readRun, type RunRecord, supervisorLives } from './run-record.ts';
import { keptPorts, type State } from './state.ts';

/** Ends the services that a supervisor left behind when it was killed. Its broker and database are taken over by whoever starts next. */
export async function endOrphans(state: State, run: RunRecord | undefined): Promise<string[]> {
  // A record that cannot be read would keep every start from claiming the folder; a whole one is written in one step.
  if (hasRun(state) && !readRun(state)) forgetRun(state);
  if (!run || supervisorLives(run)) return [];
  const orphans = run.services.filter((service) => isAlive(service.process));
  await Promise.all(orphans.map((service) => end(service.process)));
  forgetRun(state);
  return orphans.map(({ name }) => name);
}

/** Ends the broker and the database of a store whose supervisor is gone. */
export async function endLeftBacking(state: State, run: RunRecord | undefined): Promise<void> {
  const at = { folder: join(state.folder, 'rabbitmq'), name: `jogakbo-${state.id}` };
  // A start that was killed may not have recorded yet what it started.
  const folders = [join(state.folder, 'postgres'), join(stagingPath(state.id), 'data')];
  const left = folders.flatMap((data) => postgresLeftRunning(data)?.mark ?? []);
  const databases = [...(run?.database?.roots ?? []), ...left];
  const ended = databases.map((root) => end(root, { by: 'SIGINT', patience: 20_000 }));
  const [broker, ...rest] = run?.broker?.roots ?? [];
  await end(brokerLeftRunning(at) ?? broker, { patience: 30_000 });
  for (const root of rest) await end(root, { patience: 2_000 });
  const { epmd } = keptPorts(state);
  if (epmd) await endEpmd(epmd);
  if (run?.broker?.kind === 'docker') {
    try {
      execFileSync('docker', ['rm', '--force', getContainer(at)], { stdio: 'ignore', timeout: 30_000 });
    } catch {
      // Docker itself is gone, and the container with it
    }
  }
  await Promise.all(ended);
}
