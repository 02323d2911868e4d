import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ControlClient } from '@jogakbo/cli/src/supervisor/control-client.ts';
import { openState } from '@jogakbo/cli/src/supervisor/state.ts';
import { until } from './jogakbo.ts';
import { type Store } from './store.ts';

const waitUntilReady = (store: Store, service: string) =>
  until(() => store.findRecord(service)?.state === 'ready', 30_000);

/**
 * Stops a service and prevents its restart by the supervisor.
 * @returns a function that allows the restart, and resolves when the service is ready
 */
export async function stopService(
  store: Store,
  service: string,
  signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL',
): Promise<() => Promise<void>> {
  if (signal === 'SIGKILL') process.kill(store.findRecord(service)!.process!.pid, signal);
  // The supervisor ends a service that still runs with SIGTERM.
  const control = await ControlClient.open(openState(store.home));
  // Does not keep the process of a failed test alive.
  control.unref();
  await control.reserve(service);
  await control.suspend(service);
  return async () => {
    control.close();
    await until(() => store.findRecord(service)?.state !== 'suspended');
    await waitUntilReady(store, service);
  };
}

/** Kills a service, and resolves when the supervisor has restarted it. */
export async function killAndWait(store: Store, service: string): Promise<void> {
  const { pid } = store.findRecord(service)!.process!;
  process.kill(pid, 'SIGKILL');
  await until(() => {
    const record = store.findRecord(service);
    return record?.state === 'ready' && record.process?.pid !== pid;
  }, 30_000);
}

export interface ExtraInstance {
  url: string;
  pid: number;
  /** The log so far. */
  log(): string;
  end(): Promise<void>;
}

/** Starts one more instance of a service in the running store, with the settings of the first and its own port. */
export async function startInstance(store: Store, service: string): Promise<ExtraInstance> {
  const control = await ControlClient.open(openState(store.home));
  const { command, args, cwd, env } = await control.getLaunchCommand(service);
  control.close();
  const child = spawn(command, args, {
    cwd,
    env: { ...env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit');
  let log = '';
  child.stdout!.setEncoding('utf8').on('data', (text) => (log += text));
  let url = '';
  child.on('message', (message: { type?: string; url?: string }) => {
    if (message.type === 'ready') url = message.url!;
  });
  await until(() => url || child.exitCode !== null, 30_000);
  if (!url) throw new Error(log);
  const end = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  return { url: url.replace('localhost', '127.0.0.1'), pid: child.pid!, log: () => log, end };
}
