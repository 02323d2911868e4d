import { readWorkspaceConfig } from '@jogakbo/contract/workspace';
import { provideBroker } from '../backing/rabbitmq/broker.ts';
import { runDeployStep, getPublicKeys } from '../backing/rabbitmq/deploy-step.ts';
import { ensureConfigSecrets } from '../supervisor/config-secrets.ts';
import { ControlClient } from '../supervisor/control-client.ts';
import { provideDatabase } from '../backing/postgres/database.ts';
import { ensureOpenIdClients } from '../supervisor/openid-clients.ts';
import { readRun, type ServedRecord } from '../supervisor/run-record.ts';
import { ensureServiceDatabases } from '../backing/postgres/service-databases.ts';
import {
  findReadyRoutes,
  type LaunchCommand,
  prepareLaunch,
  type LaunchContext,
} from '../supervisor/service-launch.ts';
import { ensureStaff, getStaffFile } from '../supervisor/staff.ts';
import { parseStartOptions } from '../supervisor/start-options.ts';
import { claimStore } from '../supervisor/claim-store.ts';
import { ensureSecrets, readSecrets, type Secrets, type StateFolder } from '../supervisor/state.ts';
import { getStoreBrokerUrl } from '../supervisor/store-access.ts';
import {
  prepareBroker,
  prepareDatabase,
  getBackingEndpoints,
  claimServicePorts,
} from '../supervisor/store-backing.ts';
import { getTlsRemarks } from '../backing/tls/store-tls.ts';
import { createNoPreparation } from '../supervisor/store-control.ts';
import { type App, listApps, root } from '../workspace.ts';

/** The environment of a served instance: a running store, or backing services started only for it. */
export interface ServeEnvironment {
  /** The launch command of an instance. */
  getLaunchCommand(): Promise<LaunchCommand>;
  /** Updates the permissions of the service's broker login after a change of its bus description. */
  renewLogin(): Promise<void>;
  /** Ends the store's own process, once the served instance is ready. */
  suspendOwn(): Promise<void>;
  /** Starts the store's own process. Resolves when it is ready or has failed. */
  resumeOwn(): Promise<void>;
  /** Updates the store's record of the served instance. */
  recordServed(record: ServedRecord | undefined): void;
  /** Resolves when the environment has stopped. */
  lost: Promise<void>;
  release(): Promise<void>;
}

/** @param beside runs another version beside the store's own process, which keeps running */
export async function connectToRunningStore(
  state: StateFolder,
  app: App,
  beside: boolean,
  report: (text: string) => void,
): Promise<ServeEnvironment> {
  const control = await ControlClient.open(state);
  let launch: LaunchCommand;
  try {
    launch = beside ? await control.getLaunchCommand(app.name) : await control.reserve(app.name);
  } catch (error) {
    control.close();
    throw error;
  }
  let isSuspended = false;
  return {
    getLaunchCommand: async () => launch,
    async renewLogin() {
      // A login shared by all services has no permissions to update.
      if (launch.env.RABBITMQ_URL && !launch.env.BROKER_OPERATOR) return;
      const broker = { ...readRun(state)!.broker!, url: getStoreBrokerUrl(state) };
      // The store has created them for this service.
      const secrets = readSecrets(state) as Secrets;
      const encryptionKeys = getPublicKeys(secrets.serviceKeys);
      const { urls, remark } = await runDeployStep(broker, [app], { ...secrets, encryptionKeys }, state.id);
      if (remark) report(remark);
      launch = { ...launch, env: { ...launch.env, RABBITMQ_URL: urls[app.name] } };
    },
    async suspendOwn() {
      if (beside || isSuspended) return;
      isSuspended = true;
      await control.suspend(app.name);
      report(`took ${app.name} over from the running store, which restarts it at the end`);
    },
    async resumeOwn() {
      if (!isSuspended) return;
      isSuspended = false;
      await control.resume(app.name);
    },
    recordServed: (record) => void control.recordServed(record).catch(() => undefined),
    lost: control.closed,
    release: async () => control.close(),
  };
}

export async function startOwnEnvironment(
  state: StateFolder,
  app: App,
  report: (text: string) => void,
): Promise<ServeEnvironment> {
  const options = { ...parseStartOptions({ only: app.name }, state), seed: false };
  const supervisor = await claimStore(
    state,
    { ...options, onlyServes: app.name },
    (event) => event.kind === 'line' && report(event.text),
  );
  try {
    for (const text of getTlsRemarks()) report(text);
    const databaseConfiguration = await prepareDatabase(state);
    const brokerConfiguration = await prepareBroker(state, supervisor.abort);
    const [broker, database] = await Promise.all([
      supervisor.addBackingService('broker', provideBroker(brokerConfiguration, report)),
      supervisor.addBackingService('database', provideDatabase(databaseConfiguration, report)),
    ]);
    const secrets = ensureSecrets(state, [app.name]);
    const databases = await ensureServiceDatabases(database, [app], secrets.databasePasswords, state.id);
    const facts = await readWorkspaceConfig(root);
    ensureStaff(state, facts.localStaff);
    const context: LaunchContext = {
      state,
      facts,
      readyRoutes: findReadyRoutes(facts, [app]),
      publicUrl: supervisor.run.publicUrl,
      ports: { gateway: options.port, ...(await claimServicePorts(state, [app])) },
      broker: { urls: {} },
      databaseUrls: Object.fromEntries(Object.entries(databases).map(([name, { url }]) => [name, url])),
      staffFile: getStaffFile(state),
      openIdClientsFile: ensureOpenIdClients(state),
      backingEndpoints: getBackingEndpoints(state, broker, database),
      serviceKeys: secrets.serviceKeys,
      versions: {},
      config: ensureConfigSecrets(state, listApps()),
    };
    supervisor.setReady(createNoPreparation(`Only ${app.name} runs in this store.`));
    return {
      getLaunchCommand: async () => prepareLaunch(app, context),
      async renewLogin() {
        const encryptionKeys = getPublicKeys(secrets.serviceKeys);
        context.broker = await runDeployStep(broker, [app], { ...secrets, encryptionKeys }, state.id);
        if (context.broker.remark) report(context.broker.remark);
      },
      suspendOwn: async () => undefined,
      resumeOwn: async () => undefined,
      recordServed: (record) => {
        supervisor.run.served = record ? [record] : [];
        supervisor.saveRun();
      },
      lost: supervisor.ended,
      release: () => supervisor.stop(),
    };
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
}
