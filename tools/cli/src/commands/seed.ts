import { readWorkspaceConfig } from '@jogakbo/contract/workspace';
import { CliError } from '../terminal/cli-error.ts';
import { toPrintable } from '../terminal/printable.ts';
import { readRun, isSupervisorAlive } from '../supervisor/run-record.ts';
import { loadSeedModule } from '../supervisor/seed-module.ts';
import { openState } from '../supervisor/state.ts';
import { root } from '../workspace.ts';

export async function seed(): Promise<number> {
  const state = openState();
  const run = readRun(state);
  if (!run || !isSupervisorAlive(run) || run.phase !== 'ready') {
    throw new CliError('The store is not running.', { remedies: ['start it:  npm start'] });
  }
  const module = await loadSeedModule(await readWorkspaceConfig(root));
  if (!module)
    throw new CliError('This workspace has no seed.', {
      remedies: ['write a module and set its path as `seed` in jogakbo.config.ts'],
    });
  const result = await module.seed({
    state,
    url: run.publicUrl,
    identity: run.databasesIdentity ?? '',
    force: true,
    note: (text) => console.log(toPrintable(text)),
  });
  console.log(toPrintable(result));
  return 0;
}
