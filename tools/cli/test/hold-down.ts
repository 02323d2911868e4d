import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { ControlClient } from '../src/supervisor/control-socket.ts';
import { openState } from '../src/supervisor/state.ts';
import { until } from './jogakbo.ts';
import { type Store } from './store.ts';

const isReady = (store: Store, service: string) =>
  until(() => store.findRecord(service)?.state === 'ready', 30_000);

/**
 * Ends a service and keeps the supervisor from starting it again.
 * @returns lets it start again, and resolves when it is ready
 */
export async function holdDown(
  store: Store,
  service: string,
  signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL',
): Promise<() => Promise<void>> {
  if (signal === 'SIGKILL') process.kill(store.findRecord(service)!.process!.pid, signal);
  // What it takes it ends with SIGTERM, where it still runs.
  const control = await ControlClient.open(openState(store.home));
  // It must not keep a failed test from ending.
  control.unref();
  await control.prepareLaunch(service, false);
  await control.do('take', service);
  return async () => {
    control.close();
    await until(() => store.findRecord(service)?.state !== 'taken');
    await isReady(store, service);
  };
}

/** Kills a service, and resolves when the supervisor has brought it back. */
export async function killOnce(store: Store, service: string): Promise<void> {
  const { pid } = store.findRecord(service)!.process!;
  process.kill(pid, 'SIGKILL');
  await until(() => {
    const record = store.findRecord(service);
    return record?.state === 'ready' && record.process?.pid !== pid;
  }, 30_000);
}

export interface Another {
  url: string;
  pid: number;
  /** All that it has said. */
  log(): string;
  end(): Promise<void>;
}

/** Starts one more instance of a service beside the running store, with the settings of the first and a port of its own. */
export async function startAnother(store: Store, service: string): Promise<Another> {
  const control = await ControlClient.open(openState(store.home));
  const { command, args, cwd, env } = await control.prepareLaunch(service, true);
  control.close();
  const child = spawn(command, args, {
    ...{ cwd, env: { ...env, PORT: '0' } },
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
