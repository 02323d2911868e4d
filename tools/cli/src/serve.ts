import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { provideBroker } from './broker.ts';
import { ensureBrokerLogins } from './broker-logins.ts';
import { takeService } from './control-socket.ts';
import { ensureConfigSecrets } from './config-secrets.ts';
import { provideDatabase } from './database.ts';
import { Fault, messageOf, screenOf, UsageFault } from './fault.ts';
import { LogFile } from './log-file.ts';
import { renderLine } from './log-line.ts';
import { runMigrations } from './migrations.ts';
import { end, markOf } from './processes.ts';
import { readRun, supervisorLives } from './run-record.ts';
import { ensureServiceDatabases } from './service-databases.ts';
import { ensureOpenIdClients } from './openid-clients.ts';
import { type Launch, launchOf, type Surroundings } from './service-launch.ts';
import { firstAndSecond, onSignals } from './signals.ts';
import { ensureStaff, staffFileOf } from './staff.ts';
import { startOptions } from './start.ts';
import { appsOf, takeCharge } from './start-store.ts';
import { openSecrets, openState, type State } from './state.ts';
import { brokerUrlOf } from './store-access.ts';
import { brokerPlaceOf, databasePlaceOf, registryPortOf } from './store-backing.ts';
import { tlsRemarks } from './store-tls.ts';
import { type App, listApps, nodePath, root } from './workspace.ts';

/** What the service runs on: a store that runs already, or backing services brought up for it alone. */
interface Ground {
  /** Called once the service is built. */
  launch(): Promise<Launch>;
  /** Settles when the ground goes away under us. */
  lost: Promise<void>;
  release(): Promise<void>;
}

const say = (text: string) => console.log(`serve: ${text}`);

async function groundOfRunningStore(state: State, app: App, version?: string): Promise<Ground> {
  const { launch, socket } = await takeService(state, app.name, version ? 'beside' : 'instead');
  if (!launch) {
    socket.destroy();
    throw new Fault(`The running store was started without ${app.name}.`, {
      remedies: ['stop it:  npm run stop'],
    });
  }
  if (version) say(`${app.name} ${version} runs beside the one of the running store`);
  else say(`took ${app.name} over from the running store; it goes back at the end`);
  return {
    launch: async () => {
      // What it does on the bus may have changed with its source.
      if (launch.env.BROKER_OPERATOR) await renewLogins(state, app);
      return launch;
    },
    lost: new Promise((resolve) => socket.on('close', () => resolve())),
    release: async () => void socket.destroy(),
  };
}

async function renewLogins(state: State, app: App): Promise<void> {
  const broker = { ...readRun(state)!.broker!, url: brokerUrlOf(state) };
  const { remark } = await ensureBrokerLogins(broker, [app], openSecrets(state, [app.name]), state.id);
  if (remark) say(remark);
}

async function groundOfItsOwn(state: State, app: App): Promise<Ground> {
  const options = { ...startOptions({ only: app.name }), seed: false };
  const store = await takeCharge(state, options, (event) => event.kind === 'line' && say(event.text));
  try {
    for (const text of tlsRemarks()) say(text);
    const databasePlace = await databasePlaceOf(state);
    const brokerPlace = await brokerPlaceOf(state, store.abort);
    const [broker, database] = await Promise.all([
      store.backing('broker', provideBroker(brokerPlace, say)),
      store.backing('database', provideDatabase(databasePlace, say)),
    ]);
    const secrets = openSecrets(state, [app.name]);
    const databases = await ensureServiceDatabases(database, [app], secrets.services);
    ensureStaff(state);
    const around: Surroundings = {
      ...{ state, publicUrl: store.run.publicUrl, port: options.port, broker: { urls: {} } },
      databaseUrls: Object.fromEntries(Object.entries(databases).map(([name, { url }]) => [name, url])),
      staffFile: staffFileOf(state),
      openIdClientsFile: ensureOpenIdClients(state),
      registryPort: await registryPortOf(state),
      registrationSecret: secrets.registration,
      serviceKeys: secrets.serviceKeys,
      config: ensureConfigSecrets(state, listApps()),
    };
    store.becomeReady();
    return {
      launch: async () => {
        around.broker = await ensureBrokerLogins(broker, [app], secrets, state.id);
        if (around.broker.remark) say(around.broker.remark);
        await runMigrations([app], databases, around, say, store.abort);
        return launchOf(app, around);
      },
      lost: store.ended,
      release: () => store.stop(),
    };
  } catch (error) {
    await store.stop();
    throw error;
  }
}

export async function serve({ version }: { version?: string }, [name, ...others]: string[]): Promise<number> {
  if (!name || others.length) throw new UsageFault('Name one service: jogakbo serve <service>');
  const [app] = appsOf([name]) as [App];
  const builder = join(root, 'tools', 'delivery', 'src', 'build.ts');
  if (!existsSync(builder))
    throw new Fault('tools/delivery/src/build.ts is missing: there is nothing to build with.');
  const state = openState();
  const run = readRun(state);
  const running = run !== undefined && supervisorLives(run);
  if (running && run.state !== 'ready') {
    throw new Fault(`The store is ${run.state}.`, { remedies: ['wait until npm run ps shows it ready'] });
  }
  if (version && !running) {
    throw new Fault('There is no running store to run another version beside.', {
      remedies: ['start it:  npm start'],
    });
  }
  const ground = running ? await groundOfRunningStore(state, app, version) : await groundOfItsOwn(state, app);
  const log = new LogFile(state.logs, app.name);
  const colours = process.stdout.isTTY && !process.env.NO_COLOR;
  let service: ChildProcess | undefined;
  let turn: Promise<void> = Promise.resolve();
  let over = false;

  const endService = () => end(markOf(service?.pid), { patience: 10_000 });
  async function startAgain(): Promise<void> {
    await endService();
    if (over) return;
    const { command, args, cwd, env } = await ground.launch();
    const child = spawn(command, args, {
      cwd,
      // What it says that it is, on a port that the other one has not.
      env: version ? { ...env, npm_package_version: version, PORT: '0' } : env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    service = child;
    log.follow(child.stdout!, 30, (line) => console.log(renderLine(line, colours, app.name.length)));
    log.follow(child.stderr!, 50, (line) => console.error(line));
    child.on('message', (message: { type?: string; url?: string }) => {
      if (message?.type === 'ready') say(`${app.name} is ready at ${message.url}`);
    });
    child.on('exit', (code, signal) => {
      if (child === service && !over && signal !== 'SIGTERM') {
        say(`${app.name} ended (${signal ?? `code ${code}`}); it starts again after the next change`);
      }
    });
  }

  const watcher = spawn(nodePath(), [builder, join('apps', app.name), '--watch'], {
    cwd: root,
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  createInterface({ input: watcher.stdout }).on('line', (line) => {
    say(line);
    if (!line.startsWith('built ')) return;
    turn = turn
      .then(startAgain)
      .catch((error) => console.error(error instanceof Fault ? screenOf(error) : messageOf(error)));
  });

  const watcherMark = markOf(watcher.pid);
  const reason = await new Promise<string>((resolve) => {
    const interrupted = firstAndSecond(
      () => resolve('stopping'),
      () => service?.kill('SIGKILL'),
    );
    onSignals(interrupted);
    watcher.on('exit', (code) => resolve(`the build ended (code ${code})`));
    void ground.lost.then(() => resolve('the store has stopped'));
  });
  over = true;
  say(reason);
  await Promise.all([end(watcherMark, { patience: 3_000 }), turn.then(endService)]);
  await ground.release();
  return reason === 'stopping' ? 0 : 1;
}
