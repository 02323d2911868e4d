import { mergeDescriptions, type BusDescription } from '@jogakbo/messaging/grants';
import { type BackingService } from '../backing/backing-service.ts';
import { ensureServiceDatabases } from '../backing/postgres/service-databases.ts';
import { type BrokerLogins, getPublicKeys, runDeployStep } from '../backing/rabbitmq/deploy-step.ts';
import { readBus, readBusDescriptions } from '../bus-descriptions.ts';
import { CliError } from '../terminal/cli-error.ts';
import { type App, listApps } from '../workspace.ts';
import { areMigrationsApplied } from './applied-migrations.ts';
import { ensureConfigSecrets } from './config-secrets.ts';
import { type LocalRelease } from './control-socket.ts';
import { migrate } from './migrations.ts';
import { type LaunchCommand, type LaunchContext, prepareLaunch } from './service-launch.ts';
import { selectApps } from './start-options.ts';
import { ensureSecrets } from './state.ts';
import { type Preparation } from './store-control.ts';

/** A version and its declaration, read from its artefact. */
interface Deployed {
  version: string;
  app: App;
}

const readDeployed = ({ service, version, folder }: LocalRelease): Deployed => {
  const app = listApps(folder).find(({ name }) => name === service);
  if (!app) throw new CliError(`${folder} is not an artefact of ${service}.`);
  return { version, app };
};

/** Which versions the store runs, and what follows from that: their permissions on the bus and their launch commands. */
export class DeployedServices implements Preparation {
  readonly #context: LaunchContext;
  #apps: App[];
  readonly #broker: BackingService;
  readonly #database: BackingService;
  readonly #current = new Map<string, Deployed>();
  readonly #candidates = new Map<string, Deployed>();

  /** @param apps of the workspace that this store runs */
  constructor(
    context: LaunchContext,
    apps: readonly App[],
    { broker, database }: { broker: BackingService; database: BackingService },
  ) {
    this.#context = context;
    this.#apps = [...apps];
    this.#broker = broker;
    this.#database = database;
  }

  /** Runs these versions from now on. */
  setCurrent(releases: readonly LocalRelease[]): void {
    for (const release of releases) this.#current.set(release.service, readDeployed(release));
  }

  /** The declarations of the current versions, from their artefacts. */
  get currentApps(): App[] {
    return this.#apps.map((app) => this.#current.get(app.name)?.app ?? app);
  }

  /** The current version of each service. */
  get versions(): Map<string, string> {
    return new Map([...this.#current].map(([service, { version }]) => [service, version]));
  }

  getVersion(service: string): string | undefined {
    return this.#current.get(service)?.version;
  }

  /** Registers all services, with the permissions that all their running versions need. */
  async runDeployStep(): Promise<BrokerLogins> {
    const { state } = this.#context;
    const { serviceKeys, ...logins } = ensureSecrets(state);
    const wanted = [...this.#apps];
    for (const { app } of this.#candidates.values())
      if (!wanted.some(({ name }) => name === app.name)) wanted.push(app);
    const secrets = { ...logins, encryptionKeys: getPublicKeys(serviceKeys) };
    return runDeployStep(this.#broker, wanted, secrets, state.id, () => this.#describe(wanted));
  }

  /** What all services of the workspace do on the bus, those of this store in their running versions. */
  #describe(wanted: readonly App[]): BusDescription[] {
    const all = listApps();
    const added = wanted.filter(({ name }) => !all.some((app) => app.name === name));
    const running = [...all, ...added].map((app) => this.#current.get(app.name)?.app ?? app);
    return readBusDescriptions(wanted, running).map((current) => {
      const candidate = this.#candidates.get(current.service);
      const next = candidate && readBus(candidate.app);
      return next ? mergeDescriptions(current, next) : current;
    });
  }

  async prepareVersion(release: LocalRelease): Promise<LaunchCommand> {
    const deployed = readDeployed(release);
    await this.#prepareService(deployed.app);
    this.#candidates.set(release.service, deployed);
    try {
      const { urls } = await this.runDeployStep();
      Object.assign(this.#context.broker.urls, urls);
      const launch = prepareLaunch(deployed.app, this.#context, { version: release.version });
      if (deployed.app.hasDatabase) await this.#migrate(launch, deployed.app, release);
      return launch;
    } catch (error) {
      this.#candidates.delete(release.service);
      throw error;
    }
  }

  async #migrate(launch: LaunchCommand, app: App, { service, version }: LocalRelease): Promise<void> {
    // The service itself prepares its read models if nothing is pending.
    if (await areMigrationsApplied(app.folder, launch.env.DATABASE_URL!)) return;
    const { code, lines } = await migrate(launch);
    if (code !== 0)
      throw new CliError(`The migrations of ${service} ${version} failed with exit code ${code}.`, {
        details: lines.slice(-20),
      });
  }

  async settlePermissions(service: string): Promise<void> {
    this.#candidates.delete(service);
    await this.runDeployStep();
  }

  /** A version became the current one. */
  promote(service: string): void {
    const deployed = this.#candidates.get(service);
    if (deployed) this.#current.set(service, deployed);
    if (deployed && !this.#apps.some(({ name }) => name === service)) this.#apps.push(deployed.app);
    this.#candidates.delete(service);
  }

  async retire(service: string): Promise<void> {
    this.#apps = this.#apps.filter(({ name }) => name !== service);
    this.#current.delete(service);
    this.#candidates.delete(service);
    await this.runDeployStep();
  }

  async prepareAdded(name: string): Promise<LaunchCommand> {
    const known = this.#current.get(name);
    const [app] = known ? [known.app] : (selectApps([name]) as [App]);
    await this.#prepareService(app);
    return prepareLaunch(app, this.#context, { version: known?.version });
  }

  /** Creates the database, the secrets and the login of a service that was added after the start. */
  async #prepareService(app: App): Promise<void> {
    const context = this.#context;
    const { state } = context;
    const { databasePasswords, serviceKeys } = ensureSecrets(state, [app.name]);
    const made = await ensureServiceDatabases(this.#database, [app], databasePasswords, state.id);
    if (made[app.name]) context.databaseUrls[app.name] = made[app.name]!.url;
    const isNewKey = serviceKeys[app.name] !== context.serviceKeys[app.name];
    Object.assign(context, { serviceKeys, config: ensureConfigSecrets(state, listApps()) });
    // Senders encrypt with registered keys only, so a new key, or one rotated since the last call, is registered first.
    if (context.broker.brokerOperator && isNewKey) await this.runDeployStep();
  }
}
