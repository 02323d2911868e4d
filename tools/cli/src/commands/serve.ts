import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { checkPackages, refuseIfFailed } from '../supervisor/checks.ts';
import { CliError, UsageError } from '../terminal/cli-error.ts';
import { LogFile } from '../supervisor/log-file.ts';
import { hashFolder, migrate } from '../supervisor/migrations.ts';
import { end, identifyProcess } from '../supervisor/processes.ts';
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

/** @returns whether the store is running @throws CliError if the service cannot be served now */
function assertServable(state: StateFolder, version: string | undefined): boolean {
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

export interface ServeOptions {
  version?: string;
  /** `<request>=<rejection|fault|timeout>`. */
  stub?: string[];
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

/** The running store, else everything that the service needs to run alone. */
async function openEnvironment(
  app: App,
  { version, stub }: ServeOptions,
): Promise<{ state: StateFolder; environment: ServeEnvironment }> {
  const state = openState();
  const failures = parseFailures(stub);
  if (!assertServable(state, version)) {
    const own = openAloneState(state, app.name);
    print(`no store runs, so ${app.name} runs alone, with stubs of the services that it calls`);
    return { state: own, environment: await startOwnEnvironment(own, app, failures, print) };
  }
  if (stub?.length)
    throw new UsageError('--stub needs a service that runs alone, and a store is running.', {
      remedies: ['stop it first:  npm run stop'],
    });
  return { state, environment: await connectToRunningStore(state, app, version !== undefined, print) };
}

/** `jogakbo serve`. */
export async function serve(name: string, options: ServeOptions): Promise<number> {
  const [app] = selectApps([name]) as [App];
  const { version } = options;
  const builder = join(root, 'tools', 'delivery', 'src', 'build.ts');
  if (!existsSync(builder))
    throw new CliError('tools/delivery/src/build.ts is missing: the service cannot be built.');
  const opened = await openEnvironment(app, options).catch((error: unknown) => {
    if (error instanceof Stopped) return undefined;
    throw error;
  });
  return opened ? serveIn(opened, app, builder, version) : 130;
}

async function serveIn(
  { state, environment }: { state: StateFolder; environment: ServeEnvironment },
  app: App,
  builder: string,
  version: string | undefined,
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

  const watcher = spawn(nodePath(), [builder, join('apps', app.name), '--watch'], {
    cwd: root,
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let isFirst = true;
  createInterface({ input: watcher.stdout }).on('line', (line) => {
    print(line);
    const isDescribed = line.startsWith('described ');
    if (!isDescribed && !line.startsWith('built ')) return;
    instance.replace({ renewLogin: isFirst || isDescribed });
    isFirst = false;
  });

  const watcherIdentity = identifyProcess(watcher.pid);
  const reason = await new Promise<string>((resolve) => {
    const interrupted = createStopHandler(
      () => resolve('stopping'),
      () => instance.kill(),
    );
    onSignals(interrupted);
    watcher.on('error', (error) => resolve(`the build could not be started: ${error.message}`));
    watcher.on('exit', (code) => resolve(`the build exited with code ${code}`));
    void environment.lost.then(() => resolve('the store has stopped'));
  });
  print(reason);
  await Promise.all([end(watcherIdentity, { timeoutMs: 3_000 }), instance.stop()]);
  await environment.release();
  return reason === 'stopping' ? 0 : 1;
}
