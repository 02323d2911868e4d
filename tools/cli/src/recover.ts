import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { containerOf } from './docker-broker.ts';
import { brokerLeftRunning } from './private-broker.ts';
import { end, isAlive } from './processes.ts';
import { forgetRun, type RunRecord, supervisorLives } from './run-record.ts';
import { type State } from './state.ts';

/** Ends the services that a supervisor left behind when it was killed. Its broker and database are taken over by whoever starts next. */
export async function endOrphans(state: State, run: RunRecord | undefined): Promise<string[]> {
  if (!run || supervisorLives(run)) return [];
  const orphans = run.services.filter((service) => isAlive(service.process));
  await Promise.all(orphans.map((service) => end(service.process)));
  forgetRun(state);
  return orphans.map(({ name }) => name);
}

/** Ends the broker and the database of a store whose supervisor is gone. */
export async function endLeftBacking(state: State, run: RunRecord | undefined): Promise<void> {
  const at = { folder: join(state.folder, 'rabbitmq'), name: `jogakbo-${state.id}` };
  const ended = (run?.database?.roots ?? []).map((root) => end(root, { by: 'SIGINT', patience: 20_000 }));
  const [broker, ...rest] = run?.broker?.roots ?? [];
  await end(brokerLeftRunning(at) ?? broker, { patience: 30_000 });
  for (const root of rest) await end(root, { patience: 2_000 });
  if (run?.broker?.kind === 'docker') {
    try {
      execFileSync('docker', ['rm', '--force', containerOf(at)], { stdio: 'ignore', timeout: 30_000 });
    } catch {
      // Docker itself is gone, and the container with it
    }
  }
  await Promise.all(ended);
}
