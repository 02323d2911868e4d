import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { CliError, toMessage, formatFault, UsageError } from '../terminal/cli-error.ts';
import { printable } from '../terminal/printable.ts';
import { readRun, supervisorLives } from '../supervisor/run-record.ts';
import { firstAndSecond, onSignals } from '../terminal/signals.ts';
import { type Report, type StartEvent } from '../supervisor/start-events.ts';
import { selectApps, bringUp, type StartOptions, takeCharge } from '../supervisor/start-store.ts';
import { keptPorts, openState, type State } from '../supervisor/state.ts';
import { tlsIsWanted } from '../backing/tls/store-tls.ts';
import { Stopped, type Supervisor } from '../supervisor/supervisor.ts';
import { nodePath, root } from '../workspace.ts';

/** The public port is the one that is given, else the one of the last start, else 3000. */
export function startOptions(values: Record<string, unknown>, state: State): StartOptions {
  const kept = keptPorts(state).public ?? 3000;
  const text = (values.port as string | undefined) ?? (process.env.PORT || String(kept));
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new UsageError(`"${text}" is not a port: it is a number from 1 to 65535.`);
  }
  const only = (values.only as string | undefined)?.split(',').filter(Boolean);
  selectApps(only);
  tlsIsWanted();
  return { port, only, seed: !values['no-seed'] };
}

export async function start(values: Record<string, unknown>): Promise<number> {
  const state = openState();
  const options = startOptions(values, state);
  const run = readRun(state);
  if (run && supervisorLives(run)) {
    if (run.port === options.port || (values.port === undefined && !process.env.PORT)) {
      console.log(`The store is already ${run.state === 'ready' ? 'running' : run.state}: ${run.publicUrl}`);
      return 0;
    }
    throw new CliError(`The store is already running, on another port: ${run.publicUrl}`, {
      remedies: [
        'stop it first:  npm run stop',
        'or run a second store beside it:  JOGAKBO_HOME=<another folder> PORT=<another port> npm start',
      ],
    });
  }
  return values.detach ? startDetached(state, values) : superviseHere(state, options, await drawn());
}

interface Watching {
  report: Report;
  /** Resolves when all that was reported is on the screen. */
  close(): Promise<void>;
}

/** Shows events on this terminal, and resolves its close() when all is drawn. */
async function drawn(): Promise<Watching> {
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
      // What ends late, after the start was given up, is no news.
      if (!isOver) (list ??= new StageList()).take(event);
    } else if (event.kind !== 'line') endList();
    // A live list would draw over a line printed meanwhile.
    else if (list && process.stdout.isTTY) held.push(printable(event.text));
    else print(printable(event.text));
    if (event.kind === 'ready') print(event.lines.join('\n'));
    if (event.kind === 'fault') print(formatFault(new CliError(event.title, event)), console.error);
  };
  return { report, close: () => queue };
}

/** Runs the store in this process until it is told to stop. */
async function superviseHere(
  state: State,
  options: StartOptions,
  { report, close }: Watching,
): Promise<number> {
  let store: Supervisor | undefined;
  let interrupted = false;
  let wasReady = false;
  const onStop = firstAndSecond(
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
    store = await takeCharge(state, options, report);
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

/** The store in a process group of its own; this process only shows how it starts. */
async function startDetached(state: State, values: Record<string, unknown>): Promise<number> {
  const log = openSync(join(state.logs, 'supervisor.log'), 'a', 0o600);
  const args = ['port', 'only'].flatMap((name) => (values[name] ? [`--${name}`, String(values[name])] : []));
  if (values['no-seed']) args.push('--no-seed');
  const child = spawn(
    nodePath(),
    [...process.execArgv, join(import.meta.dirname, '..', 'main.ts'), 'supervise', ...args],
    { cwd: root, detached: true, stdio: ['ignore', log, log, 'ipc'] },
  );
  closeSync(log);
  const { report, close } = await drawn();
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
          title: `The supervisor ended (${signal}).`,
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

/** What startDetached() starts. */
export async function supervise(values: Record<string, unknown>): Promise<number> {
  const report: Report = (event) => {
    if (process.connected) process.send!(event, undefined, undefined, () => undefined);
  };
  const state = openState();
  return superviseHere(state, startOptions(values, state), { report, close: async () => undefined });
}
