import { CliError } from '../terminal/cli-error.ts';
import { toPrintable } from '../terminal/printable.ts';
import { readRun, isSupervisorAlive } from '../supervisor/run-record.ts';
import { seedStore } from './seed-store.ts';
import { openState } from '../supervisor/state.ts';

export async function seed(): Promise<number> {
  const state = openState();
  const run = readRun(state);
  if (!run || !isSupervisorAlive(run) || run.state !== 'ready') {
    throw new CliError('The store is not running.', { remedies: ['start it:  npm start'] });
  }
  const result = await seedStore({
    state,
    url: run.publicUrl,
    identity: run.databases ?? '',
    force: true,
    note: (text) => console.log(toPrintable(text)),
  });
  console.log(toPrintable(result));
  return 0;
}
