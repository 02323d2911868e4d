import { setTimeout as pause } from 'node:timers/promises';
import { isAlive, signal } from '../supervisor/processes.ts';
import { endOrphanedBackingServices, endOrphans } from '../supervisor/recover.ts';
import { readRun, isSupervisorAlive } from '../supervisor/run-record.ts';
import { openState } from '../supervisor/state.ts';

const stopTimeoutMs = 60_000;

export async function stop(): Promise<number> {
  const state = openState();
  const run = readRun(state);
  if (!run || !isSupervisorAlive(run)) {
    const orphans = await endOrphans(state, run);
    await endOrphanedBackingServices(state, run);
    console.log(
      run
        ? `ended the processes of a killed supervisor${orphans.length ? `: ${orphans.join(', ')}` : ''}`
        : 'The store is not running.',
    );
    return 0;
  }
  console.log(`stopping the store at ${run.publicUrl}`);
  // A second signal would kill all processes at once.
  if (run.state !== 'stopping') signal(run.supervisor, 'SIGTERM');
  const seen = new Set(run.services.filter(({ process }) => isAlive(process)).map(({ name }) => name));
  for (const until = Date.now() + stopTimeoutMs; isAlive(run.supervisor); await pause(100)) {
    const now = readRun(state);
    for (const service of now?.services ?? []) {
      if (seen.has(service.name) && !isAlive(service.process)) {
        seen.delete(service.name);
        console.log(`  ${service.name} has stopped`);
      }
    }
    if (Date.now() > until) {
      console.log('  the stop takes too long: killing the supervisor');
      signal(run.supervisor, 'SIGKILL');
      await pause(200);
      await endOrphans(state, run);
      await endOrphanedBackingServices(state, run);
    }
  }
  console.log('stopped; no process is left');
  return 0;
}
