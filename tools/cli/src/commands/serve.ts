import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { checkPackages, refuseIfFailed } from './checks.ts';
import { CliError, UsageError } from '../terminal/cli-error.ts';
import { LogFile } from '../supervisor/log-file.ts';
import { hashOfFolder, migrate } from '../supervisor/migrations.ts';
import { end, readMark } from '../supervisor/processes.ts';
import { readRun, supervisorLives } from '../supervisor/run-record.ts';
import { groundOfItsOwn, groundOfRunningStore } from './serve-environment.ts';
import { ServedInstance } from './served-instance.ts';
import { type Launch } from '../supervisor/service-launch.ts';
import { firstAndSecond, onSignals } from '../terminal/signals.ts';
import { selectApps } from '../supervisor/start-store.ts';
import { openState, type State } from '../supervisor/state.ts';
import { type App, nodePath, root } from '../workspace.ts';

const say = (text: string) => console.log(`serve: ${text}`);

/** @throws Fault where the service cannot be served now */
function mustBeServable(state: State, version: string | undefined): boolean {
  refuseIfFailed([checkPackages('needed')]);
  const run = readRun(state);
  const running = run !== undefined && supervisorLives(run);
  if (running && run.state !== 'ready') {
    throw new CliError(`The store is ${run.state}.`, { remedies: ['wait until npm run ps shows it ready'] });
  }
  if (version && !running) {
    throw new CliError('There is no running store to run another version beside.', {
      remedies: ['start it:  npm start'],
    });
  }
  return running;
}

/** Runs the migrations of an app where their source is not what it was the last time. */
function createMigrationRunner(app: App): (launch: Launch) => Promise<void> {
  let done: string | undefined;
  return async (launch) => {
    if (!app.hasDatabase) return;
    const folders = [join(app.folder, 'migrations'), join(root, 'libs', 'consistency', 'src')];
    const source = folders.filter(existsSync).map(hashOfFolder).join();
    if (source === done) return;
    const { code, lines } = await migrate(launch);
    if (code !== 0) {
      throw new CliError(`The migrations of ${app.name} failed (code ${code}).`, {
        details: lines.slice(-20),
      });
    }
    for (const line of lines) say(line);
    done = source;
  };
}

/** `jogakbo serve`. */
export async function serve({ version }: { version?: string }, [name, ...others]: string[]): Promise<number> {
  if (!name || others.length) throw new UsageError('Name one service: jogakbo serve <service>');
  const [app] = selectApps([name]) as [App];
  const builder = join(root, 'tools', 'delivery', 'src', 'build.ts');
  if (!existsSync(builder))
    throw new CliError('tools/delivery/src/build.ts is missing: there is nothing to build with.');
  const state = openState();
  const ground = mustBeServable(state, version)
    ? await groundOfRunningStore(state, app, version !== undefined, say)
    : await groundOfItsOwn(state, app, say);
  if (version) say(`${app.name} ${version} runs beside the one of the running store`);
  const instance = new ServedInstance({
    ...{
      name: app.name,
      ground,
      log: new LogFile(state.logs, app.name),
      say,
      migrate: createMigrationRunner(app),
    },
    ...(version && { version }),
  });

  const watcher = spawn(nodePath(), [builder, join('apps', app.name), '--watch'], {
    cwd: root,
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let isFirst = true;
  createInterface({ input: watcher.stdout }).on('line', (line) => {
    say(line);
    const isDescribed = line.startsWith('described ');
    if (!isDescribed && !line.startsWith('built ')) return;
    instance.replace({ renewLogin: isFirst || isDescribed });
    isFirst = false;
  });

  const watcherMark = readMark(watcher.pid);
  const reason = await new Promise<string>((resolve) => {
    const interrupted = firstAndSecond(
      () => resolve('stopping'),
      () => instance.kill(),
    );
    onSignals(interrupted);
    watcher.on('exit', (code) => resolve(`the build ended (code ${code})`));
    void ground.lost.then(() => resolve('the store has stopped'));
  });
  say(reason);
  await Promise.all([end(watcherMark, { patience: 3_000 }), instance.stop()]);
  await ground.release();
  return reason === 'stopping' ? 0 : 1;
}
