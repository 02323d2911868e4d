import {
  checkDataFolders,
  checkDisk,
  checkPackages,
  checkPort,
  checkSecrets,
  refuseIfFailed,
} from './checks.ts';
import { CliError } from '../terminal/cli-error.ts';
import { endOrphans } from './orphans.ts';
import { identifyProcess } from './processes.ts';
import { claimRun, readRun } from './run-record.ts';
import { type Report } from './start-events.ts';
import { isLocalMode } from './service-launch.ts';
import { selectApps, type StartOptions } from './start-options.ts';
import { keepPorts, type StateFolder } from './state.ts';
import { Supervisor } from './supervisor.ts';
import { root } from '../workspace.ts';

/** Checks the prerequisites, ends processes of a killed supervisor, and claims the state folder. */
export async function claimStore(
  state: StateFolder,
  options: StartOptions,
  report: Report,
): Promise<Supervisor> {
  const orphans = await endOrphans(state, readRun(state));
  if (orphans.length)
    report({ kind: 'line', text: `ended the services of a killed supervisor: ${orphans.join(', ')}` });
  const opensPort = selectApps(options.only).some(({ name }) => name === 'gateway');
  refuseIfFailed([
    checkDisk(state),
    checkPackages('needed'),
    checkSecrets(state),
    checkDataFolders(state),
    ...(opensPort ? [await checkPort(options.port, state)] : []),
  ]);
  const run = {
    supervisor: identifyProcess(process.pid)!,
    phase: 'starting' as const,
    ...(options.onlyServes && { onlyServes: options.onlyServes }),
    ...(options.only && { only: options.only }),
    ...(options.dense && { dense: true }),
    workspace: root,
    localMode: isLocalMode(),
    publicUrl: `http://localhost:${options.port}`,
    port: options.port,
    since: Date.now(),
    services: [],
  };
  if (!claimRun(state, run))
    throw new CliError('Another process is already starting this store.', { remedies: ['npx jogakbo ps'] });
  keepPorts(state, { public: options.port });
  return new Supervisor(state, run, (text) => report({ kind: 'line', text }));
}
