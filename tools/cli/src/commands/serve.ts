import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Readable } from 'node:stream';
import { checkPackages, refuseIfFailed } from '../supervisor/checks.ts';
import { CliError, UsageError } from '../terminal/cli-error.ts';
import { LogFile } from '../supervisor/log-file.ts';
import { hashFolder, migrate } from '../supervisor/migrations.ts';
import { end, identifyProcess, type ProcessIdentity } from '../supervisor/processes.ts';
import { readRun, isSupervisorAlive } from '../supervisor/run-record.ts';
import { startOwnEnvironment } from '../alone/own-environment.ts';
import { connectToRunningStore, type ServeEnvironment } from './serve-environment.ts';
import { ServedInstance } from './served-instance.ts';
import { type LaunchCommand } from '../supervisor/service-launch.ts';
import { createStopHandler, onSignals } from '../terminal/signals.ts';
import { selectApps } from '../supervisor/start-options.ts';
import { openState, type StateFolder } from '../supervisor/state.ts';
import { openAloneState } from '../supervisor/running-state.ts';
import { Stopped } from '../supervisor/stopped.ts';
import { type App, nodePath, root } from '../workspace.ts';

const print = (text: string) => console.log(`serve: ${text}`);

export interface ServeOptions {
  version?: string;
  /** `<request>=<rejection|fault|timeout>`. */
  stub?: string[];
}

/** @returns whether the store is running @throws CliError if the service cannot be served now */
function assertServable(state: StateFolder, { version, stub }: ServeOptions): boolean {
  refuseIfFailed([checkPackages('needed')]);
  const run = readRun(state);
  const running = run !== undefined && isSupervisorAlive(run);
  if (running && run.phase !== 'ready') {
    throw new CliError(`The store is ${run.phase}.`, {
      remedies: ['wait until npm run ps shows that it is ready'],
    });
  }
  if (version && !running) {
    throw new CliError('--version needs a running store.', {
      remedies: ['start it:  npm start'],
    });
  }
  if (stub?.length && running) {
    throw new UsageError('--stub needs a service that runs alone, and a store is running.', {
      remedies: ['stop it first:  npm run stop'],
    });
  }
  return running;
}

/** Runs the migrations of an app when their source has changed. */
function createMigrationRunner(app: App): (launch: LaunchCommand) => Promise<void> {
  let done: string | undefined;
  return async (launch) => {
    if (!app.hasDatabase) return;
    const folders = [join(app.folder, 'migrations'), join(root, 'libs', 'consistency', 'src')];
    const source = folders.filter(existsSync).map(hashFolder).join();
    if (source === done) return;
    const { code, lines } = await migrate(launch);
    if (code !== 0) {
      throw new CliError(`The migrations of ${app.name} failed with exit code ${code}.`, {
        details: lines.slice(-20),
      });
    }
    for (const line of lines) print(line);
    done = source;
  };
}

/** @throws UsageError */
export function parseFailures(texts: readonly string[] = []): Record<string, string> {
  const pairs = texts.map((text) => {
    const [, request, failure] = /^([a-z][\w-]*\.[\w.-]+)=([\w-]+)$/.exec(text) ?? [];
    if (request && failure) return [request, failure] as const;
    throw new UsageError(`--stub ${text} is not <request>=<rejection|fault|timeout>.`, {
      remedies: ['for example:  --stub library.find-books=timeout'],
    });
  });
  return Object.fromEntries(pairs);
}

interface Builder {
  output: Readable;
  identity: ProcessIdentity | undefined;
  /** Resolves to the reason when the process has ended. */
  ended: Promise<string>;
}

/** Builds the app, and again after each change. Prints `built …` and `described …`. */
function startBuilder(app: App): Builder {
  const script = join(root, 'tools', 'delivery', 'src', 'build.ts');
  if (!existsSync(script))
    throw new CliError('tools/delivery/src/build.ts is missing: the service cannot be built.');
  const child = spawn(nodePath(), [script, join('apps', app.name), '--watch'], {
    cwd: root,
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(`the build could not be started: ${error.message}`));
    child.on('exit', (code) => resolve(`the build exited with code ${code}`));
  });
  return { output: child.stdout, identity: identifyProcess(child.pid), ended };
}

/** `jogakbo serve`. */
export async function serve(name: string, options: ServeOptions): Promise<number> {
  const [app] = selectApps([name]) as [App];
  const failures = parseFailures(options.stub);
  const store = openState();
  const isStoreRunning = assertServable(store, options);
  // Builds while the environment is opened.
  const builder = startBuilder(app);
  try {
    if (isStoreRunning) {
      const environment = await connectToRunningStore(store, app, options.version !== undefined, print);
      return await serveIn(store, environment, app, builder, options.version);
    }
    print(`no store runs, so ${app.name} runs alone, with stubs of the services that it calls`);
    const alone = openAloneState(store, app.name);
    return await serveIn(alone, await startOwnEnvironment(alone, app, failures, print), app, builder);
  } catch (error) {
    if (error instanceof Stopped) return 130;
    throw error;
  } finally {
    await end(builder.identity, { timeoutMs: 3_000 });
  }
}

async function serveIn(
  state: StateFolder,
  environment: ServeEnvironment,
  app: App,
  builder: Builder,
  version?: string,
): Promise<number> {
  if (version) print(`${app.name} ${version} runs beside the ${app.name} of the running store`);
  const instance = new ServedInstance({
    name: app.name,
    environment,
    log: new LogFile(state.logs, app.name),
    report: print,
    migrate: createMigrationRunner(app),
    ...(version && { version }),
  });

  let isFirst = true;
  createInterface({ input: builder.output }).on('line', (line) => {
    print(line);
    const isDescribed = line.startsWith('described ');
    if (!isDescribed && !line.startsWith('built ')) return;
    instance.replace({ renewLogin: isFirst || isDescribed });
    isFirst = false;
  });

  const reason = await new Promise<string>((resolve) => {
    const interrupted = createStopHandler(
      () => resolve('stopping'),
      () => instance.kill(),
    );
    onSignals(interrupted);
    void builder.ended.then(resolve);
    void environment.lost.then(() => resolve('the store has stopped'));
  });
  print(reason);
  await instance.stop();
  await environment.release();
  return reason === 'stopping' ? 0 : 1;
}
