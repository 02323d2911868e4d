import { setTimeout as pause } from 'node:timers/promises';
import { readWorkspaceConfig } from '@jogakbo/contract/workspace';
import { type BackingService } from '../backing/backing-service.ts';
import { provideBroker } from '../backing/rabbitmq/broker.ts';
import { ensureBrokerLogins, getPublicKeys } from '../backing/rabbitmq/broker-logins.ts';
import { build } from './build.ts';
import {
  checkDataFolders,
  checkDisk,
  checkPackages,
  checkPort,
  checkSecrets,
  refuseIfFailed,
} from '../commands/checks.ts';
import { ensureConfigSecrets } from './config-secrets.ts';
import { provideDatabase } from '../backing/postgres/database.ts';
import { CliError, toMessage, UsageError } from '../terminal/cli-error.ts';
import { runMigrations } from './migrations.ts';
import { prepareDenseLaunch, prepareHosted } from './dense-mode.ts';
import { ensureOpenIdClients } from './openid-clients.ts';
import { readMark } from './processes.ts';
import { endOrphans } from './orphans.ts';
import { claimRun, readRun } from './run-record.ts';
import { loadSeedModule } from './seed-module.ts';
import { ensureServiceDatabases, computeIdentity } from '../backing/postgres/service-databases.ts';
import { findReadyRoutes, prepareLaunch, type LaunchContext } from './service-launch.ts';
import { EarlyExit } from './service-process.ts';
import { ensureStaff, getStaffFile, markStaffShown } from './staff.ts';
import { type Report, type Stage } from './start-events.ts';
import { toStartError } from './start-errors.ts';
import { formatSummary } from './start-summary.ts';
import { keepPorts, ensureSecrets, type State } from './state.ts';
import { findBrokerPlace, findDatabasePlace, getOwnEndpoints, findServicePorts } from './store-backing.ts';
import { getTlsRemarks } from '../backing/tls/store-tls.ts';
import { Stopped, Supervisor } from './supervisor.ts';
import { type App, listApps, root } from '../workspace.ts';

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

/** Starts the store until it is ready. Rejects with CliError or Stopped; the caller must then call stop(). */
export async function bringUp(store: Supervisor, options: StartOptions, report: Report): Promise<void> {
  const { state, abort, run } = store;
  const apps = selectApps(options.only);
  const withGateway = apps.some(({ name }) => name === 'gateway');
  const facts = await readWorkspaceConfig(root);

  async function stage<T>(
    name: Stage,
    work: (note: (text: string) => void) => Promise<[T, string]>,
  ): Promise<T> {
    abort.throwIfAborted();
    const reportStage = (stageState: 'began' | 'note' | 'done' | 'failed', text: string) =>
      report({ kind: 'stage', stage: name, state: stageState, text });
    reportStage('began', '');
    try {
      const [result, text] = await work((note) => reportStage('note', note));
      abort.throwIfAborted();
      reportStage('done', text);
      return result;
    } catch (error) {
      reportStage('failed', error instanceof Stopped ? 'stopped' : toMessage(error));
      throw error;
    }
  }

  for (const text of getTlsRemarks()) report({ kind: 'line', text });
  if (options.dense) {
    const text = 'dense mode: all services share one process, so that a crash or a block of one hits all';
    report({ kind: 'line', text });
  }
  const databasePlace = await findDatabasePlace(state);
  const brokerPlace = await findBrokerPlace(state, abort);
  const [broker, database] = await Promise.all([
    stage('broker', async (note) => {
      const broker = await store.addBackingService('broker', provideBroker(brokerPlace, note));
      return [broker, broker.title];
    }),
    stage('database', async (note) => {
      const database = await store.addBackingService('database', provideDatabase(databasePlace, note));
      return [database, database.title];
    }),
    stage('build', async (note) => [undefined, await build(options.only, note, abort)]),
  ]);

  const { staff, isNew: staffIsNew } = ensureStaff(state, facts.localStaff);
  const secrets = ensureSecrets(
    state,
    listApps().map(({ name }) => name),
  );
  const context: LaunchContext = {
    state,
    facts,
    readyRoutes: findReadyRoutes(facts, apps),
    publicUrl: run.publicUrl,
    ports: { gateway: run.port },
    broker: { urls: {} },
    databaseUrls: {},
    staffFile: getStaffFile(state),
    config: ensureConfigSecrets(state, listApps()),
    openIdClientsFile: ensureOpenIdClients(state),
    ownEndpoints: getOwnEndpoints(state, broker, database),
    serviceKeys: secrets.serviceKeys,
  };
  const ensureLogins = () => {
    const { serviceKeys, ...logins } = ensureSecrets(state);
    return ensureBrokerLogins(
      broker,
      apps,
      { ...logins, encryptionKeys: getPublicKeys(serviceKeys) },
      state.id,
    );
  };
  const logins = ensureLogins();
  logins.catch(() => undefined); // thrown below
  await stage('databases', async (note) => {
    const databases = await ensureServiceDatabases(database, apps, secrets.services);
    for (const [name, { url }] of Object.entries(databases)) context.databaseUrls[name] = url;
    run.databases = computeIdentity(databases);
    const migrated = await runMigrations(apps, databases, context, note, abort);
    context.broker = await logins;
    return [databases, migrated];
  });
  if (context.broker.remark) report({ kind: 'line', text: context.broker.remark });
  if (context.broker.operator) restoreLoginsOnRestart(broker, ensureLogins);

  await stage('services', async (note) => {
    // As late as possible, so that no other process takes the port in between.
    Object.assign(context.ports, await findServicePorts(state, apps));
    const services = options.dense
      ? [
          store.addDense(
            prepareDenseLaunch(context),
            new Map(apps.map((app) => [app.name, prepareHosted(app, context)])),
          ),
        ]
      : apps.map((app) => store.addService(app.name, prepareLaunch(app, context)));
    const waiting = new Set(services.map(({ name }) => name));
    note(`waiting for ${[...waiting].join(', ')}`);
    await waitForStarts(
      services.map(async (service) => {
        await service.start();
        waiting.delete(service.name);
        if (waiting.size) note(`waiting for ${[...waiting].join(', ')}`);
      }),
      state.logs,
    );
    if (withGateway) {
      note('waiting for the gateway to load all routes');
      await waitUntilReady(`${run.publicUrl.replace('localhost', '127.0.0.1')}/health/ready`, abort);
    }
    return [undefined, `${apps.length} ready${options.dense ? ' in one process' : ''}`];
  });

  const seeding = options.seed && withGateway ? await loadSeedModule(facts) : undefined;
  if (seeding?.services.every((needed) => apps.some(({ name }) => name === needed))) {
    await stage('seed', async (note) => [
      undefined,
      await seeding.seed({ state, url: run.publicUrl, identity: run.databases!, force: false, note, abort }),
    ]);
  } else {
    report({ kind: 'stage', stage: 'seed', state: 'skipped', text: 'not requested' });
  }
  store.setReady(async (name) => {
    const [app] = selectApps([name]) as [App];
    const { services, serviceKeys } = ensureSecrets(state, [name]);
    const made = await ensureServiceDatabases(database, [app], services);
    if (made[name]) context.databaseUrls[name] = made[name].url;
    // Senders encrypt with registered keys only, so a rotated key is registered before the service uses it.
    if (context.broker.operator && serviceKeys[name] !== context.serviceKeys[name]) await ensureLogins();
    Object.assign(context, { serviceKeys, config: ensureConfigSecrets(state, listApps()) });
    return prepareLaunch(app, context);
  });
  report({ kind: 'ready', lines: formatSummary(store, { staff: staffIsNew ? staff : [], withGateway }) });
  markStaffShown(state);
}

/** A restarted broker may have lost its data, so the logins are declared again. */
function restoreLoginsOnRestart(broker: BackingService, ensureLogins: () => Promise<unknown>): void {
  const restart = broker.restart.bind(broker);
  broker.restart = async () => {
    await restart();
    await ensureLogins();
  };
}

/** After the first failure, waits 1.5 s to collect the failures of other services. */
async function waitForStarts(starts: Promise<void>[], logs: string): Promise<void> {
  const ends: EarlyExit[] = [];
  const watched = starts.map((start) =>
    start.catch((error: unknown) => {
      if (error instanceof EarlyExit) ends.push(error);
      throw error;
    }),
  );
  try {
    await Promise.all(watched);
  } catch (error) {
    if (!(error instanceof EarlyExit)) throw error;
    await Promise.race([Promise.allSettled(watched), pause(1_500)]);
    throw toStartError(ends, logs);
  }
}

async function waitUntilReady(url: string, abort: AbortSignal): Promise<void> {
  let last = '';
  for (const until = Date.now() + 45_000; Date.now() < until; await pause(100)) {
    abort.throwIfAborted();
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(3_000) });
      last = `${response.status} ${(await response.text()).slice(0, 400)}`;
      if (response.ok) return;
    } catch (error) {
      last = toMessage(error);
    }
  }
  throw new CliError('The gateway is running but not ready.', {
    details: [`GET ${url} returned: ${last}`],
    remedies: ['npx jogakbo logs gateway'],
  });
}
