import { setTimeout as pause } from 'node:timers/promises';
import { end, isAlive, signal } from '../supervisor/processes.ts';
import { endOrphanedBackingServices, endOrphans } from '../supervisor/orphans.ts';
import { readRun, isSupervisorAlive } from '../supervisor/run-record.ts';
import { findRunningStore, listAloneStates } from '../supervisor/running-state.ts';
import { openState, type StateFolder } from '../supervisor/state.ts';

/** Ends what a killed `serve` has left behind. One that still runs is ended with Ctrl-C. */
async function endLeftovers(state: StateFolder): Promise<void> {
  for (const alone of listAloneStates(state)) {
    const run = readRun(alone);
    if (!run || findRunningStore(alone)) continue;
    await endOrphans(alone, run);
    await endOrphanedBackingServices(alone, run);
    console.log(`ended the processes of a killed serve: ${run.onlyServes}`);
  }
}

/** @param timeoutMs after which the supervisor is killed */
export async function stop(timeoutMs = 60_000): Promise<number> {
  const state = openState();
  await endLeftovers(state);
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
  if (run.phase !== 'stopping') signal(run.supervisor, 'SIGTERM');
  const seen = new Set(run.services.filter(({ process }) => isAlive(process)).map(({ name }) => name));
  for (const until = Date.now() + timeoutMs; isAlive(run.supervisor); await pause(100)) {
    const now = readRun(state);
    for (const service of now?.services ?? []) {
      if (seen.has(service.name) && !isAlive(service.process)) {
        seen.delete(service.name);
        console.log(`  ${service.name} has stopped`);
      }
    }
    if (Date.now() > until) {
      console.log('  the stop takes too long: killing the supervisor');
      await end(run.supervisor, { by: 'SIGKILL' });
      // The record read at the beginning may not have the services of a store that was starting.
      const last = readRun(state) ?? run;
      await endOrphans(state, last);
      await endOrphanedBackingServices(state, last);
    }
  }
  console.log('stopped; no process is left');
  return 0;
}
