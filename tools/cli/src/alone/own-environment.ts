import { readWorkspaceConfig } from '@jogakbo/contract/workspace';
import { type BackingService } from '../backing/backing-service.ts';
import { provideDatabase } from '../backing/postgres/database.ts';
import { ensureServiceDatabases } from '../backing/postgres/service-databases.ts';
import { provideBroker } from '../backing/rabbitmq/broker.ts';
import { deployServices, getPublicKeys } from '../backing/rabbitmq/deploy-step.ts';
import { getTlsRemarks } from '../backing/tls/store-tls.ts';
import { readBusDescriptions } from '../bus-descriptions.ts';
import { type ServeEnvironment } from '../commands/serve-environment.ts';
import { claimStore } from '../supervisor/claim-store.ts';
import { ensureConfigSecrets } from '../supervisor/config-secrets.ts';
import { ensureOpenIdClients } from '../supervisor/openid-clients.ts';
import { claimPorts } from '../supervisor/ports.ts';
import { findReadyRoutes, type LaunchContext, prepareLaunch } from '../supervisor/service-launch.ts';
import { ensureStaff, getStaffFile } from '../supervisor/staff.ts';
import { parseStartOptions } from '../supervisor/start-options.ts';
import { ensureSecrets, readKeptPorts, type StateFolder } from '../supervisor/state.ts';
import {
  claimServicePorts,
  getBackingEndpoints,
  prepareBroker,
  prepareDatabase,
} from '../supervisor/store-backing.ts';
import { createNoPreparation } from '../supervisor/store-control.ts';
import { type Supervisor } from '../supervisor/supervisor.ts';
import { onSignals } from '../terminal/signals.ts';
import { type App, listApps, root } from '../workspace.ts';
import { buildApp, SupportingProcesses } from './supporting-processes.ts';
import type { StubPlan } from './describe-stubs.ts';
import { assertQueuesUnused } from './unused-queues.ts';

/** The port that was asked for, else the one of the last time, else 3000; another one if it is in use. */
async function choosePort(state: StateFolder): Promise<number> {
  const { port } = parseStartOptions({}, state);
  if (process.env.PORT) return port;
  const claimed = await claimPorts(['public'], { public: readKeptPorts(state).public ?? 3000 });
  return claimed.public;
}

/**
 * Runs everything that one service needs, and nothing else: a broker and a database of its own, the gateway for its routes,
 * and one process with stubs of the services that it calls.
 * @param failures requests whose stubs fail: a rejection code, `fault` or `timeout`
 */
export async function startOwnEnvironment(
  state: StateFolder,
  app: App,
  failures: Readonly<Record<string, string>>,
  report: (text: string) => void,
): Promise<ServeEnvironment> {
  const port = await choosePort(state);
  const only = app.name === 'gateway' ? 'gateway' : `${app.name},gateway`;
  const options = { ...parseStartOptions({ only, port: String(port) }, state), seed: false };
  const supervisor = await claimStore(
    state,
    { ...options, onlyServes: app.name },
    (event) => event.kind === 'line' && report(event.text),
  );
  // `serve` handles signals when the environment exists.
  const ignoreSignals = onSignals(() => void supervisor.stop());
  try {
    for (const text of getTlsRemarks()) report(text);
    const gateway = listApps().find(({ name }) => name === 'gateway' && name !== app.name);
    const building = gateway && buildApp(gateway);
    building?.catch(() => undefined); // reported by supporting.plan()
    const backing = await openBackingServices(supervisor, app, report);
    const context = await prepareContext(supervisor, app, backing);
    supervisor.setReady(createNoPreparation(`Only ${app.name} runs in this store.`));
    const supporting = new SupportingProcesses({
      supervisor,
      app,
      gateway,
      building,
      context,
      failures,
      report,
    });
    return createEnvironment(supervisor, app, backing, context, supporting, report);
  } catch (error) {
    await supervisor.stop();
    throw error;
  } finally {
    ignoreSignals();
  }
}

function createEnvironment(
  supervisor: Supervisor,
  app: App,
  { broker }: Backing,
  context: LaunchContext,
  supporting: SupportingProcesses,
  report: (text: string) => void,
): ServeEnvironment {
  const { stateFolder: state, run } = supervisor;
  let isFirst = true;
  async function deploy(plan: StubPlan): Promise<void> {
    const apps = [app, ...supporting.apps];
    const names = [...apps.map(({ name }) => name), ...plan.services.map(({ service }) => service)];
    const { brokerPasswords, brokerAdministrator, serviceKeys } = ensureSecrets(state, names);
    Object.assign(context.serviceKeys, serviceKeys);
    context.readyRoutes = findReadyRoutes(context.facts, apps);
    await assertQueuesUnused(state, broker, plan.services);
    const logins = { brokerPasswords, brokerAdministrator, encryptionKeys: getPublicKeys(serviceKeys) };
    context.broker = await deployServices(broker, names, logins, state.id, () => [
      ...readBusDescriptions(apps, apps),
      ...plan.services.map(({ description }) => description),
    ]);
    if (context.broker.remark) report(context.broker.remark);
    // A restarted broker may have lost its data.
    supervisor.onRestarted('broker', () => deploy(plan));
  }
  return {
    getLaunchCommand: async () => prepareLaunch(app, context),
    async renewLogin() {
      try {
        const plan = await supporting.plan();
        await deploy(plan);
        await supporting.update(plan);
        isFirst = false;
      } catch (error) {
        // After a change, the previous instance keeps running.
        if (isFirst) void supervisor.stop();
        throw error;
      }
    },
    suspendOwn: async () => undefined,
    resumeOwn: async () => undefined,
    recordServed: (record) => {
      run.served = record ? [record] : [];
      supervisor.saveRun();
      if (record) void supporting.describeOnce(record.url ?? '');
    },
    lost: supervisor.ended,
    release: () => supervisor.stop(),
  };
}

interface Backing {
  broker: BackingService;
  /** Only if the service has a database. */
  database: BackingService | undefined;
}

async function openBackingServices(
  supervisor: Supervisor,
  app: App,
  report: (text: string) => void,
): Promise<Backing> {
  const { stateFolder: state } = supervisor;
  const databaseConfiguration = app.hasDatabase ? await prepareDatabase(state) : undefined;
  const brokerConfiguration = await prepareBroker(state, supervisor.abort);
  const [broker, database] = await Promise.all([
    supervisor.addBackingService('broker', provideBroker(brokerConfiguration, report)),
    databaseConfiguration &&
      supervisor.addBackingService('database', provideDatabase(databaseConfiguration, report)),
  ]);
  return { broker, database };
}

async function prepareContext(
  supervisor: Supervisor,
  app: App,
  { broker, database }: Backing,
): Promise<LaunchContext> {
  const { stateFolder: state, run } = supervisor;
  const secrets = ensureSecrets(state, [app.name]);
  const databases = database
    ? await ensureServiceDatabases(database, [app], secrets.databasePasswords, state.id)
    : {};
  const facts = await readWorkspaceConfig(root);
  ensureStaff(state, facts.localStaff);
  return {
    state,
    facts,
    readyRoutes: [],
    publicUrl: run.publicUrl,
    ports: { ...(await claimServicePorts(state, [app])), gateway: run.port },
    broker: { urls: {} },
    databaseUrls: Object.fromEntries(Object.entries(databases).map(([name, { url }]) => [name, url])),
    staffFile: getStaffFile(state),
    openIdClientsFile: ensureOpenIdClients(state),
    backingEndpoints: getBackingEndpoints(state, broker, database ?? broker),
    serviceKeys: { ...secrets.serviceKeys },
    versions: {},
    config: ensureConfigSecrets(state, listApps()),
  };
}
