import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { readRun, isSupervisorAlive, type RunRecord } from '../supervisor/run-record.ts';
import { createStopHandler, onSignals } from '../terminal/signals.ts';
import { type StartScreen } from '../terminal/start-screen.ts';
import { type Report, type StartEvent } from '../supervisor/start-events.ts';
import { claimStore } from '../supervisor/claim-store.ts';
import { parseStartOptions, type StartOptions, type StartValues } from '../supervisor/start-options.ts';
import { bringUp } from '../supervisor/start-store.ts';
import { openState, type StateFolder } from '../supervisor/state.ts';
import { Stopped } from '../supervisor/stopped.ts';
import { type Supervisor } from '../supervisor/supervisor.ts';
import { nodePath, root } from '../workspace.ts';

export async function start(values: StartValues): Promise<number> {
  const state = openState();
  const options = parseStartOptions(values, state);
  const run = readRun(state);
  if (run && isSupervisorAlive(run)) {
    const isPortChosen = values.port !== undefined || Boolean(process.env.PORT);
    assertSameStore(run, isPortChosen ? options : { ...options, port: run.port });
    return waitForRunningStore(state, run);
  }
  return values.detach
    ? startDetached(state, values)
    : superviseInProcess(state, options, await openScreen());
}

/** Loaded on demand: drawing the list needs a large package. */
const openScreen = async (): Promise<StartScreen> =>
  (await import('../terminal/start-screen.ts')).openStartScreen();

/** @throws CliError if the running store is not the requested one */
function assertSameStore(run: RunRecord, { port, only, dense }: StartOptions): void {
  if (run.onlyServes) {
    throw new CliError(`jogakbo serve runs ${run.onlyServes} here, with backing services of its own.`, {
      remedies: ['end it, and start the store', `then:  npx jogakbo serve ${run.onlyServes}`],
    });
  }
  if (run.port !== port) {
    throw new CliError(`The store is already running, on another port: ${run.publicUrl}`, {
      remedies: [
        'stop it first:  npm run stop',
        'or run a second store:  JOGAKBO_HOME=<another folder> PORT=<another port> npm start',
      ],
    });
  }
  const isOther = only !== undefined && !isDeepStrictEqual(new Set(only), new Set(run.only));
  if (isOther || (dense && !run.dense)) {
    throw new CliError(`The store is already running, without the options of this start: ${run.publicUrl}`, {
      remedies: ['stop it first:  npm run stop', 'or see what it runs:  npx jogakbo ps'],
    });
  }
}

/** Resolves when the store of another process is ready. @throws CliError if it stops, or if its start fails */
async function waitForRunningStore(state: StateFolder, run: RunRecord): Promise<number> {
  const { pid } = run.supervisor;
  if (run.phase === 'starting')
    console.log(`The store is already starting, in process ${pid}. Waiting until it is ready.`);
  for (let now: RunRecord | undefined = run; ; now = readRun(state)) {
    if (!now || !isSupervisorAlive(now)) {
      throw new CliError(`The start of process ${pid} has failed.`, {
        remedies: ['npx jogakbo logs supervisor', 'start again:  npm start'],
      });
    }
    if (now.phase === 'stopping') {
      throw new CliError('The store is stopping, so nothing was started.', {
        remedies: ['wait until it has stopped, and start it again:  npm stop && npm start'],
      });
    }
    if (now.phase === 'ready') {
      console.log(`The store is already running: ${now.publicUrl}`);
      return 0;
    }
    await pause(200);
  }
}

/** Runs the store in this process until a stop signal. */
async function superviseInProcess(
  state: StateFolder,
  options: StartOptions,
  { report, close }: StartScreen,
): Promise<number> {
  let supervisor: Supervisor | undefined;
  let interrupted = false;
  const onStop = createStopHandler(
    () => {
      interrupted = true;
      void supervisor?.stop();
    },
    () => {
      void (supervisor?.force() ?? Promise.resolve()).finally(() => process.exit(130));
    },
  );
  const release = onSignals(onStop);
  process.on('uncaughtException', (error) => {
    const text = `the supervisor failed: ${error.stack}`;
    // The log has it even if no terminal is attached any more.
    if (supervisor) supervisor.report(text);
    else report({ kind: 'line', text });
    process.exitCode = 1;
    onStop();
  });
  try {
    supervisor = await claimStore(state, options, report);
    if (interrupted) throw new Stopped();
    await bringUp(supervisor, options, report);
    await close();
    await supervisor.ended;
    return Number(process.exitCode ?? 0);
  } catch (error) {
    report({ kind: 'given-up' });
    await supervisor?.stop();
    if (interrupted || error instanceof Stopped) return 130;
    const reported =
      error instanceof CliError
        ? error
        : new CliError(`The start failed: ${toMessage(error)}`, getStack(error));
    report({
      kind: 'error',
      title: reported.message,
      details: [...reported.details],
      remedies: [...reported.remedies],
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
async function startDetached(state: StateFolder, { port, only, seed, dense }: StartValues): Promise<number> {
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
    const fail = (title: string) => {
      const remedies = [`read ${join(state.logs, 'supervisor.log')}`];
      report({ kind: 'error', title, details: [], remedies });
      resolve(1);
    };
    child.on('error', (error) => fail(`The supervisor could not be started: ${error.message}.`));
    child.on('exit', (code, signal) => {
      if (signal) fail(`The supervisor was killed by ${signal}.`);
      else resolve(code ?? 1);
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
