import { join, resolve } from 'node:path';
import { type ProvidedSetting, type WorkspaceConfig } from '@jogakbo/contract/workspace';
import { type BrokerLogins } from '../backing/rabbitmq/deploy-step.ts';
import { readBus } from '../bus-descriptions.ts';
import { type ConfigSecrets } from './config-secrets.ts';
import { type StateFolder } from './state.ts';
import { z } from 'zod';
import { type App, compileCache, listApps, nodePath } from '../workspace.ts';

export interface LaunchContext {
  state: StateFolder;
  /** The facts of `jogakbo.config.ts`. */
  facts: WorkspaceConfig;
  /** Those of its `readyRoutes` whose service runs. */
  readyRoutes: readonly string[];
  publicUrl: string;
  /** The fixed ports, by service name: clients are configured with them. */
  ports: Record<string, number>;
  broker: BrokerLogins;
  /** The database URL of each service, with its own login, by service name. */
  databaseUrls: Record<string, string>;
  staffFile: string;
  openIdClientsFile: string;
  /** Addresses of the store's broker and database as host:port, forbidden as upstreams of the gateway. */
  backingEndpoints: string[];
  /** The version of each service, by service name: SERVICE_VERSION. */
  versions: Record<string, string>;
  /** The secret key of each service, by service name. */
  serviceKeys: Record<string, string>;
  config: ConfigSecrets;
}

/** What the launch of an app depends on. */
export type AppDeclaration = Pick<App, 'name' | 'hasDatabase' | 'manifest'>;

export interface LaunchCommand {
  command: string;
  args: string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** In dense mode: the services to start in this process, as of now. */
  listDenseServices?: () => DenseServiceLaunch[];
}

/** A service that the process of dense mode starts. */
export interface DenseServiceLaunch {
  name: string;
  main: string;
  env: NodeJS.ProcessEnv;
}

const blockedVariables =
  /^(DATABASE_URL.*|CONFIG_PASSWORD.*|SERVICE_KEY.*|SERVICE_VERSION|RABBITMQ_.*|BROKER_OPERATOR|JOGAKBO_.*|TEST_.*|PG[A-Z]+|npm_.*|INIT_CWD|NODE_CHANNEL_.*|NX_.*)$/;

/** Whether the services simulate external systems. Any other value than the words for true counts as false. */
export const isLocalMode = ({ LOCAL_MODE: text = 'true' }: NodeJS.ProcessEnv = process.env): boolean =>
  z.stringbool().safeParse(text).data === true;

/** Whether a variable contains a secret that another service has declared. */
function isSecretOfOther(name: string, app: AppDeclaration, all: readonly AppDeclaration[]): boolean {
  const setting = name.replace(/_FILE$/, '');
  const declares = ({ manifest }: AppDeclaration) => manifest.secrets.includes(setting);
  return !declares(app) && all.some(declares);
}

/** The settings that a service declares and that follow from facts of the workspace. Empty ones are left out. */
function getProvidedSettings(
  { manifest }: AppDeclaration,
  { facts, readyRoutes, backingEndpoints, publicUrl }: LaunchContext,
  { DENIED_UPSTREAMS, ...user }: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  const values: Record<ProvidedSetting, string> = {
    TOKEN_ISSUER: publicUrl,
    TITLE: facts.title ?? facts.name,
    LANGUAGES: facts.languages.join(),
    ROLES: facts.roles.join(),
    READY_ROUTES: user.READY_ROUTES || readyRoutes.join(),
    DENIED_UPSTREAMS: [...backingEndpoints, ...(DENIED_UPSTREAMS ? [DENIED_UPSTREAMS] : [])].join(),
  };
  return Object.fromEntries(
    manifest.settings.map((name) => [name, values[name]]).filter(([, value]) => value),
  );
}

/** The settings of a service that the store keeps in files. A service rejects a setting with both a value and a file. */
function getSettingFiles(
  { manifest }: AppDeclaration,
  context: LaunchContext,
  user: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  const files: Record<string, string> = {
    STAFF: context.staffFile,
    OIDC_CLIENTS: user.OIDC_CLIENTS_FILE || context.openIdClientsFile,
    CONFIG_KEY: context.config.keyFile,
    CONFIG_CLIENTS: context.config.clientsFile,
  };
  const own = Object.entries(files).filter(([name]) => manifest.secrets.includes(name) && !user[name]);
  return Object.fromEntries(own.map(([name, file]) => [`${name}_FILE`, file]));
}

/** The user's environment without secrets of other services, overridden by the service's own settings. */
export function buildEnvironment(
  app: AppDeclaration,
  context: LaunchContext,
  user: NodeJS.ProcessEnv = process.env,
  all: readonly AppDeclaration[] = listApps(),
): NodeJS.ProcessEnv {
  const passed = Object.entries(user).filter(
    ([name]) => !blockedVariables.test(name) && !isSecretOfOther(name, app, all),
  );
  const port = context.ports[app.name] ?? 0;
  return {
    ...Object.fromEntries(passed),
    HOST: '127.0.0.1',
    // Simulates missing external systems. `LOCAL_MODE=false npm start` reports the settings that a real store needs.
    LOCAL_MODE: user.LOCAL_MODE ?? 'true',
    PORT: String(port),
    // `jogakbo serve` starts the next instance while the current one still listens.
    ...(port && process.platform === 'linux' ? { REUSE_PORT: 'true' } : {}),
    RABBITMQ_URL: context.broker.urls[app.name],
    ...(context.broker.brokerOperator ? { BROKER_OPERATOR: context.broker.brokerOperator } : {}),
    // Also for a service that does not declare it: a value of the user's environment is not that of this store.
    TOKEN_ISSUER: context.publicUrl,
    // glibc allocates one arena per thread and rarely returns its memory.
    MALLOC_ARENA_MAX: user.MALLOC_ARENA_MAX ?? '2',
    // glibc raises this limit, and then keeps large blocks, such as the memory of password hashes.
    MALLOC_MMAP_THRESHOLD_: user.MALLOC_MMAP_THRESHOLD_ ?? '1048576',
    NODE_COMPILE_CACHE: compileCache,
    // Names the store of this process, for those who find it on a port.
    JOGAKBO_HOME: context.state.folder,
    ...(app.hasDatabase ? { DATABASE_URL: context.databaseUrls[app.name] } : {}),
    ...getSettingFiles(app, context, user),
    ...getProvidedSettings(app, context, user),
    SERVICE_KEY: context.serviceKeys[app.name],
    ...(context.versions[app.name] ? { SERVICE_VERSION: context.versions[app.name] } : {}),
    CONFIG_PASSWORD: context.config.passwords[app.name],
    CONFIG_CACHE: join(context.state.folder, 'config-cache'),
  };
}

/** The memory limits of a service as options of Node. */
export const getMemoryFlags = ({ heap }: App['manifest']): string[] => [
  `--max-semi-space-size=${heap.young}`,
  `--max-old-space-size=${heap.old}`,
];

/** Those of the workspace's `readyRoutes` that these apps serve, by their builds. */
export function findReadyRoutes({ readyRoutes }: WorkspaceConfig, apps: readonly App[]): string[] {
  const served = apps
    .flatMap((app) => readBus(app)?.contracts ?? [])
    .flatMap(({ offered }) => offered?.routes ?? []);
  return readyRoutes.filter((route) => served.includes(route));
}

/** @param app of the workspace, or of the artefact of a version */
export function prepareLaunch(
  app: App,
  context: LaunchContext,
  { args = [], version }: { args?: string[]; version?: string | undefined } = {},
): LaunchCommand {
  return {
    command: nodePath(),
    args: [
      ...getMemoryFlags(app.manifest),
      `--import=./apps/${app.name}/dist/source-maps.js`,
      app.main,
      ...args,
    ],
    cwd: resolve(app.folder, '..', '..'),
    env: { ...buildEnvironment(app, context), ...(version && { SERVICE_VERSION: version }) },
  };
}
