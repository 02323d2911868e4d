import {
  checkDataFolders,
  checkDisk,
  checkPackages,
  checkPort,
  checkSecrets,
  refuseIfFailed,
} from '../commands/checks.ts';
import { CliError, UsageError } from '../terminal/cli-error.ts';
import { endOrphans } from './orphans.ts';
import { readMark } from './processes.ts';
import { claimRun, readRun } from './run-record.ts';
import { type Report } from './start-events.ts';
import { keepPorts, type State } from './state.ts';
import { Supervisor } from './supervisor.ts';
import { type App, listApps } from '../workspace.ts';

export interface StartOptions {
  port: number;
  only?: string[];
  seed: boolean;
  /** Runs all services in one process. */
  dense: boolean;
  /** Set by `jogakbo serve`, which then runs only this service. */
  onlyServes?: string;
}

export function selectApps(only: string[] | undefined): App[] {
  const apps = listApps();
  const unknown = only?.filter((name) => !apps.some((app) => app.name === name)) ?? [];
  if (unknown.length) {
    throw new UsageError(`There is no service called ${unknown.join(', ')}.`, {
      remedies: [`the services are: ${apps.map(({ name }) => name).join(', ')}`],
    });
  }
  return only ? apps.filter(({ name }) => only.includes(name)) : apps;
}

/** Checks the prerequisites, ends processes of a killed supervisor, and claims the state folder. */
export async function claimStore(state: State, options: StartOptions, report: Report): Promise<Supervisor> {
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
    supervisor: readMark(process.pid)!,
    state: 'starting' as const,
    ...(options.onlyServes && { onlyServes: options.onlyServes }),
    ...(options.dense && { dense: true }),
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
