import { setTimeout as pause } from 'node:timers/promises';
import { readWorkspaceConfig, type WorkspaceConfig } from '@jogakbo/contract/workspace';
import { type BackingService } from '../backing/backing-service.ts';
import { provideBroker } from '../backing/rabbitmq/broker.ts';
import { build } from './build.ts';
import { ensureConfigSecrets } from './config-secrets.ts';
import { provideDatabase } from '../backing/postgres/database.ts';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { DeployedServices } from './deployed-services.ts';
import { recordStart } from '../deployment/deployments.ts';
import { runMigrations } from './migrations.ts';
import { prepareDenseHost, prepareDenseService } from './dense-mode.ts';
import { ensureOpenIdClients } from './openid-clients.ts';
import { selectApps, type StartOptions } from './start-options.ts';
import { loadSeedModule } from './seed-module.ts';
import { ensureServiceDatabases, computeIdentity } from '../backing/postgres/service-databases.ts';
import { keepReleases } from '../deployment/releases.ts';
import { findReadyRoutes, prepareLaunch, type LaunchContext } from './service-launch.ts';
import { EarlyExit } from './service-process.ts';
import { ensureStaff, getStaffFile, markStaffShown } from './staff.ts';
import { type Report, type Stage } from './start-events.ts';
import { toStartError } from './start-errors.ts';
import { formatSummary } from './start-summary.ts';
import { ensureSecrets } from './state.ts';
import { prepareBroker, prepareDatabase, getBackingEndpoints, claimServicePorts } from './store-backing.ts';
import { getTlsRemarks } from '../backing/tls/store-tls.ts';
import { Stopped } from './stopped.ts';
import { type Supervisor } from './supervisor.ts';
import { readVersions } from './versions.ts';
import { type App, listApps, root } from '../workspace.ts';

type Note = (text: string) => void;

/** Starts the store until it is ready. Rejects with CliError or Stopped; the caller must then call stop(). */
export async function bringUp(supervisor: Supervisor, options: StartOptions, report: Report): Promise<void> {
  const facts = await readWorkspaceConfig(root);
  await new StoreStart(supervisor, options, report, facts).run();
}

/** The steps of a start, in the order in which they run. */
class StoreStart {
  readonly #supervisor: Supervisor;
  readonly #options: StartOptions;
  readonly #report: Report;
  readonly #facts: WorkspaceConfig;
  readonly #apps: App[];
  readonly #hasGateway: boolean;
  #broker!: BackingService;
  #database!: BackingService;
  #context!: LaunchContext;
  #deployed!: DeployedServices;

  constructor(supervisor: Supervisor, options: StartOptions, report: Report, facts: WorkspaceConfig) {
    this.#supervisor = supervisor;
    this.#options = options;
    this.#report = report;
    this.#facts = facts;
    this.#apps = selectApps(options.only);
    this.#hasGateway = this.#apps.some(({ name }) => name === 'gateway');
  }

  async run(): Promise<void> {
    for (const text of getTlsRemarks()) this.#reportLine(text);
    if (this.#options.dense)
      this.#reportLine(
        'dense mode: all services share one process, so that a crash or a block of one hits all',
      );
    await this.#openBackingServices();
    const { stateFolder: state } = this.#supervisor;
    const { staff, isShown } = ensureStaff(state, this.#facts.localStaff);
    const databasePasswords = await this.#prepareContext();
    await this.#prepareDatabases(databasePasswords);
    await this.#startServices();
    await this.#seed();
    recordStart(state, this.#deployed.versions);
    this.#supervisor.setReady(this.#deployed);
    const lines = formatSummary(this.#supervisor, {
      staff: isShown ? [] : staff,
      withGateway: this.#hasGateway,
    });
    this.#report({ kind: 'ready', lines });
    markStaffShown(state);
  }

  #reportLine(text: string): void {
    this.#report({ kind: 'line', text });
  }

  async #stage<T>(name: Stage, work: (note: Note) => Promise<[T, string]>): Promise<T> {
    const { abort } = this.#supervisor;
    abort.throwIfAborted();
    const reportStage = (progress: 'began' | 'note' | 'done' | 'failed', text: string) =>
      this.#report({ kind: 'stage', stage: name, progress, text });
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

  async #openBackingServices(): Promise<void> {
    const { stateFolder: state, abort } = this.#supervisor;
    const databaseConfiguration = await prepareDatabase(state);
    const brokerConfiguration = await prepareBroker(state, abort);
    const open = (role: 'broker' | 'database', provide: (note: Note) => Promise<BackingService>) =>
      this.#stage(role === 'broker' ? role : 'database-server', async (note) => {
        const opened = await this.#supervisor.addBackingService(role, provide(note));
        return [opened, opened.title];
      });
    const [broker, database] = await Promise.all([
      open('broker', (note) => provideBroker(brokerConfiguration, note)),
      open('database', (note) => provideDatabase(databaseConfiguration, note)),
      this.#stage('build', async (note) => [undefined, await build(this.#options.only, note, abort)]),
    ]);
    this.#broker = broker;
    this.#database = database;
  }

  /** @returns the database password of each service */
  async #prepareContext(): Promise<Record<string, string>> {
    const { stateFolder: state, run } = this.#supervisor;
    const all = listApps();
    const { databasePasswords, serviceKeys } = ensureSecrets(
      state,
      all.map(({ name }) => name),
    );
    this.#context = {
      state,
      facts: this.#facts,
      readyRoutes: findReadyRoutes(this.#facts, this.#apps),
      publicUrl: run.publicUrl,
      ports: { gateway: run.port },
      broker: { urls: {} },
      databaseUrls: {},
      staffFile: getStaffFile(state),
      config: ensureConfigSecrets(state, all),
      openIdClientsFile: ensureOpenIdClients(state),
      backingEndpoints: getBackingEndpoints(state, this.#broker, this.#database),
      serviceKeys,
      versions: await readVersions((text) => this.#reportLine(text)),
    };
    const servers = { broker: this.#broker, database: this.#database };
    this.#deployed = new DeployedServices(this.#context, this.#apps, servers);
    // In dense mode, and without versions, all services run the code of the workspace.
    if (!this.#options.dense && Object.keys(this.#context.versions).length > 0)
      this.#deployed.setCurrent(
        keepReleases(
          state,
          this.#apps.map(({ name }) => name),
        ),
      );
    return databasePasswords;
  }

  async #prepareDatabases(passwords: Record<string, string>): Promise<void> {
    const { run, abort, stateFolder } = this.#supervisor;
    const context = this.#context;
    const logins = this.#deployed.runDeployStep();
    logins.catch(() => undefined); // thrown below
    await this.#stage('migrations', async (note) => {
      const databases = await ensureServiceDatabases(this.#database, this.#apps, passwords, stateFolder.id);
      for (const [name, { url }] of Object.entries(databases)) context.databaseUrls[name] = url;
      run.databasesIdentity = computeIdentity(databases);
      const migrated = await runMigrations(this.#deployed.currentApps, databases, context, note, abort);
      context.broker = await logins;
      return [databases, migrated];
    });
    if (context.broker.remark) this.#reportLine(context.broker.remark);
    // A restarted broker may have lost its data.
    if (context.broker.brokerOperator)
      this.#supervisor.onRestarted('broker', () => this.#deployed.runDeployStep());
  }

  #startServices(): Promise<void> {
    const { stateFolder: state, run, abort } = this.#supervisor;
    return this.#stage('services', async (note) => {
      // As late as possible, so that no other process takes the port in between.
      Object.assign(this.#context.ports, await claimServicePorts(state, this.#apps));
      const processes = this.#addProcesses();
      const waiting = new Set(processes.map(({ name }) => name));
      const noteWaiting = () => waiting.size && note(`waiting for ${[...waiting].join(', ')}`);
      noteWaiting();
      const starts = processes.map(async (service) => {
        await service.start();
        waiting.delete(service.name);
        noteWaiting();
      });
      await waitForStarts(starts, state.logs);
      if (this.#hasGateway) {
        note('waiting for the gateway to load all routes');
        await waitUntilReady(`${run.publicUrl.replace('localhost', '127.0.0.1')}/health/ready`, abort);
      }
      return [undefined, `${this.#apps.length} ready${this.#options.dense ? ' in one process' : ''}`];
    });
  }

  #addProcesses(): { name: string; start(): Promise<void> }[] {
    const context = this.#context;
    if (this.#options.dense) {
      const services = new Map(this.#apps.map((app) => [app.name, prepareDenseService(app, context)]));
      return [this.#supervisor.addDense(prepareDenseHost(context), services)];
    }
    return this.#deployed.currentApps.map((app) => {
      const version = this.#deployed.getVersion(app.name);
      return this.#supervisor.addService(app.name, version ?? '', prepareLaunch(app, context, { version }));
    });
  }

  async #seed(): Promise<void> {
    const { stateFolder: state, run, abort } = this.#supervisor;
    const skip = (text: string) => this.#report({ kind: 'stage', stage: 'seed', progress: 'skipped', text });
    if (!this.#options.seed) return skip('--no-seed was given');
    const module = await loadSeedModule(this.#facts);
    if (!module) return skip('jogakbo.config.ts names no module for it');
    const needed = ['gateway', ...module.services];
    const missing = needed.filter((one) => !this.#apps.some(({ name }) => name === one));
    if (missing.length > 0) return skip(`needs ${missing.join(', ')}`);
    const to = { state, url: run.publicUrl, identity: run.databasesIdentity!, force: false, abort };
    await this.#stage('seed', async (note) => [undefined, await module.seed({ ...to, note })]);
  }
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
