import { provideBroker } from '../backing/rabbitmq/broker.ts';
import { ensureBrokerLogins, getPublicKeys } from '../backing/rabbitmq/broker-logins.ts';
import { ensureConfigSecrets } from '../supervisor/config-secrets.ts';
import { ControlClient } from '../supervisor/control-socket.ts';
import { provideDatabase } from '../backing/postgres/database.ts';
import { ensureOpenIdClients } from '../supervisor/openid-clients.ts';
import { readRun, type ServedRecord } from '../supervisor/run-record.ts';
import { ensureServiceDatabases } from '../backing/postgres/service-databases.ts';
import { type Launch, prepareLaunch, type Surroundings } from '../supervisor/service-launch.ts';
import { ensureStaff, getStaffFile } from '../supervisor/staff.ts';
import { startOptions } from './start.ts';
import { takeCharge } from '../supervisor/start-store.ts';
import { openSecrets, type State } from '../supervisor/state.ts';
import { getBrokerUrl } from '../supervisor/store-access.ts';
import {
  findBrokerPlace,
  findDatabasePlace,
  getOwnEndpoints,
  findRegistryPort,
} from '../supervisor/store-backing.ts';
import { tlsRemarks } from '../backing/tls/store-tls.ts';
import { type App, listApps } from '../workspace.ts';

/** What a served instance runs on: a store that runs already, or backing services brought up for it alone. */
export interface ServeEnvironment {
  /** How an instance is started. */
  launch(): Promise<Launch>;
  /** Gives the service its login again, for what it does on the bus has changed with its source. */
  renewLogin(): Promise<void>;
  /** The store's own process ends: ours is ready. */
  handOver(): Promise<void>;
  /** The store's own process starts. Resolves when it is ready, or has failed. */
  takeBack(): Promise<void>;
  /** What the store shows of the served instance. */
  show(record: ServedRecord | undefined): void;
  /** Settles when the ground goes away under us. */
  lost: Promise<void>;
  release(): Promise<void>;
}

/** @param beside as another version beside the store's own process, which stays */
export async function groundOfRunningStore(
  state: State,
  app: App,
  beside: boolean,
  say: (text: string) => void,
): Promise<ServeEnvironment> {
  const store = await ControlClient.open(state);
  let launch: Launch;
  try {
    launch = await store.prepareLaunch(app.name, beside);
  } catch (error) {
    store.close();
    throw error;
  }
  let handedOver = false;
  return {
    launch: async () => launch,
    async renewLogin() {
      // Where all services share one login there is nothing to renew.
      if (launch.env.RABBITMQ_URL && !launch.env.BROKER_OPERATOR) return;
      const broker = { ...readRun(state)!.broker!, url: getBrokerUrl(state) };
      const secrets = openSecrets(state, [app.name]);
      const encryptionKeys = getPublicKeys(secrets.serviceKeys);
      const { urls, remark } = await ensureBrokerLogins(
        broker,
        [app],
        { ...secrets, encryptionKeys },
        state.id,
      );
      if (remark) say(remark);
      launch = { ...launch, env: { ...launch.env, RABBITMQ_URL: urls[app.name] } };
    },
    async handOver() {
      if (beside || handedOver) return;
      handedOver = true;
      await store.do('take', app.name);
      say(`took ${app.name} over from the running store; it goes back at the end`);
    },
    async takeBack() {
      if (!handedOver) return;
      handedOver = false;
      await store.do('give', app.name);
    },
    show: (record) => void store.show(record).catch(() => undefined),
    lost: store.closed,
    release: async () => store.close(),
  };
}

export async function groundOfItsOwn(
  state: State,
  app: App,
  say: (text: string) => void,
): Promise<ServeEnvironment> {
  const options = { ...startOptions({ only: app.name }, state), seed: false };
  const store = await takeCharge(state, options, (event) => event.kind === 'line' && say(event.text));
  try {
    for (const text of tlsRemarks()) say(text);
    const databasePlace = await findDatabasePlace(state);
    const brokerPlace = await findBrokerPlace(state, store.abort);
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
      staffFile: getStaffFile(state),
      openIdClientsFile: ensureOpenIdClients(state),
      registryPort: await findRegistryPort(state),
      ownEndpoints: getOwnEndpoints(state, broker, database),
      serviceKeys: secrets.serviceKeys,
      config: ensureConfigSecrets(state, listApps()),
    };
    store.becomeReady(() => Promise.reject(new Error(`Only ${app.name} runs here.`)));
    return {
      launch: async () => prepareLaunch(app, around),
      async renewLogin() {
        const encryptionKeys = getPublicKeys(secrets.serviceKeys);
        around.broker = await ensureBrokerLogins(broker, [app], { ...secrets, encryptionKeys }, state.id);
        if (around.broker.remark) say(around.broker.remark);
      },
      handOver: async () => undefined,
      takeBack: async () => undefined,
      show: (record) => {
        store.run.served = record ? [record] : [];
        store.record();
      },
      lost: store.ended,
      release: () => store.stop(),
    };
  } catch (error) {
    await store.stop();
    throw error;
  }
}
