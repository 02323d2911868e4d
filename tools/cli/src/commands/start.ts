import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { CliError, toMessage, formatCliError, UsageError } from '../terminal/cli-error.ts';
import { toPrintable } from '../terminal/printable.ts';
import { readRun, isSupervisorAlive } from '../supervisor/run-record.ts';
import { createStopHandler, onSignals } from '../terminal/signals.ts';
import { type Report, type StartEvent } from '../supervisor/start-events.ts';
import { selectApps, bringUp, type StartOptions, claimStore } from '../supervisor/start-store.ts';
import { readKeptPorts, openState, type State } from '../supervisor/state.ts';
import { isTlsRequested } from '../backing/tls/store-tls.ts';
import { Stopped, type Supervisor } from '../supervisor/supervisor.ts';
import { nodePath, root } from '../workspace.ts';

/** The options of `start` as typed. */
export interface StartValues {
  port?: string;
  only?: string;
  seed?: boolean;
  detach?: boolean;
  dense?: boolean;
}

/** The public port: --port, else PORT, else the port of the last start, else 3000. */
export function parseStartOptions(values: StartValues, state: State): StartOptions {
  const kept = readKeptPorts(state).public ?? 3000;
  const text = values.port ?? (process.env.PORT || String(kept));
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new UsageError(`"${text}" is not a port: it must be a number from 1 to 65535.`);
  }
  const only = values.only?.split(',').filter(Boolean);
  selectApps(only);
  isTlsRequested();
  return { port, only, seed: values.seed ?? true, dense: values.dense ?? false };
}

export async function start(values: StartValues): Promise<number> {
  const state = openState();
  const options = parseStartOptions(values, state);
  const run = readRun(state);
  if (run && isSupervisorAlive(run)) {
    if (run.port === options.port || (values.port === undefined && !process.env.PORT)) {
      console.log(`The store is already ${run.state === 'ready' ? 'running' : run.state}: ${run.publicUrl}`);
      return 0;
    }
    throw new CliError(`The store is already running, on another port: ${run.publicUrl}`, {
      remedies: [
        'stop it first:  npm run stop',
        'or run a second store:  JOGAKBO_HOME=<another folder> PORT=<another port> npm start',
      ],
    });
  }
  return values.detach
    ? startDetached(state, values)
    : superviseInProcess(state, options, await openScreen());
}

interface Screen {
  report: Report;
  /** Resolves when all reported events are printed. */
  close(): Promise<void>;
}

/** Shows events on the terminal. */
async function openScreen(): Promise<Screen> {
  const { StageList } = await import('../terminal/stage-list.ts');
  let list: InstanceType<typeof StageList> | undefined;
  let queue: Promise<void> = Promise.resolve();
  const held: string[] = [];
  let isOver = false;
  const print = (text: string, write = console.log) => {
    queue = queue.then(() => write(text));
  };
  const endList = () => {
    isOver = true;
    const drawing = list;
    list = undefined;
    queue = queue.then(() => drawing?.close());
    held.splice(0).forEach((text) => print(text));
  };
  const report = (event: StartEvent) => {
    if (event.kind === 'stage') {
      // Stages that finish after the start was cancelled are ignored.
      if (!isOver) (list ??= new StageList()).take(event);
    } else if (event.kind !== 'line') endList();
    // The live list would overwrite a line printed now.
    else if (list && process.stdout.isTTY) held.push(toPrintable(event.text));
    else print(toPrintable(event.text));
    if (event.kind === 'ready') print(event.lines.join('\n'));
    if (event.kind === 'fault') print(formatCliError(new CliError(event.title, event)), console.error);
  };
  return { report, close: () => queue };
}

/** Runs the store in this process until a stop signal. */
async function superviseInProcess(
  state: State,
  options: StartOptions,
  { report, close }: Screen,
): Promise<number> {
  let store: Supervisor | undefined;
  let interrupted = false;
  let wasReady = false;
  const onStop = createStopHandler(
    () => {
      interrupted = true;
      void store?.stop();
    },
    () => {
      void (store?.force() ?? Promise.resolve()).finally(() => process.exit(130));
    },
  );
  const release = onSignals(onStop);
  process.on('uncaughtException', (error) => {
    report({ kind: 'line', text: `the supervisor failed: ${error.stack}` });
    process.exitCode = 1;
    onStop();
  });
  try {
    store = await claimStore(state, options, report);
    if (interrupted) throw new Stopped();
    await bringUp(store, options, report);
    wasReady = true;
    await close();
    await store.ended;
    return Number(process.exitCode ?? 0);
  } catch (error) {
    report({ kind: 'given-up' });
    await store?.stop();
    if (interrupted || error instanceof Stopped) {
      return wasReady ? 0 : 130;
    }
    const fault =
      error instanceof CliError
        ? error
        : new CliError(`The start failed: ${toMessage(error)}`, getStack(error));
    report({
      kind: 'fault',
      title: fault.message,
      details: [...fault.details],
      remedies: [...fault.remedies],
    });
    return 1;
  } finally {
    await close();
    release();
  }
}

function getStack(error: unknown): { details: string[] } {
  return { details: error instanceof Error ? (error.stack ?? '').split('\n').slice(1, 6) : [] };
}

/** Runs the store in a process group of its own. This process only shows its start. */
async function startDetached(state: State, { port, only, seed, dense }: StartValues): Promise<number> {
  const log = openSync(join(state.logs, 'supervisor.log'), 'a', 0o600);
  const args = [
    ...(port ? ['--port', port] : []),
    ...(only ? ['--only', only] : []),
    ...(dense ? ['--dense'] : []),
    ...(seed === false ? ['--no-seed'] : []),
  ];
  const child = spawn(
    nodePath(),
    [...process.execArgv, join(import.meta.dirname, '..', 'main.ts'), 'supervise', ...args],
    { cwd: root, detached: true, stdio: ['ignore', log, log, 'ipc'] },
  );
  closeSync(log);
  const { report, close } = await openScreen();
  const release = onSignals((signal) => child.kill(signal));
  const code = await new Promise<number>((resolve) => {
    child.on('message', (event: StartEvent) => {
      report(event);
      if (event.kind === 'ready') resolve(0);
    });
    child.on('exit', (code, signal) => {
      if (signal)
        report({
          kind: 'fault',
          title: `The supervisor was killed by ${signal}.`,
          details: [],
          remedies: [`read ${join(state.logs, 'supervisor.log')}`],
        });
      resolve(code ?? 1);
    });
  });
  release();
  if (child.connected) child.disconnect();
  child.unref();
  await close();
  return code;
}

/** The command that startDetached() spawns. */
export async function supervise(values: StartValues): Promise<number> {
  const report: Report = (event) => {
    if (process.connected) process.send!(event, undefined, undefined, () => undefined);
  };
  const state = openState();
  return superviseInProcess(state, parseStartOptions(values, state), {
    report,
    close: async () => undefined,
  });
}
