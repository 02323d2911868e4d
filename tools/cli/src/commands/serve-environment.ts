import { runDeployStep, getPublicKeys } from '../backing/rabbitmq/deploy-step.ts';
import { ControlClient } from '../supervisor/control-client.ts';
import { readRun, type ServedRecord } from '../supervisor/run-record.ts';
import { type LaunchCommand } from '../supervisor/service-launch.ts';
import { readSecrets, type Secrets, type StateFolder } from '../supervisor/state.ts';
import { getStoreBrokerUrl } from '../supervisor/store-access.ts';
import { type App } from '../workspace.ts';

/** The environment of a served instance: a running store, or what `startOwnEnvironment` runs only for it. */
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
