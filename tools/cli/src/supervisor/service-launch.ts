import { join } from 'node:path';
import { type BrokerLogins } from '../backing/rabbitmq/broker-logins.ts';
import { type ConfigSecrets } from './config-secrets.ts';
import { type State } from './state.ts';
import { type App, nodePath, root } from '../workspace.ts';

export interface LaunchContext {
  state: State;
  publicUrl: string;
  port: number;
  broker: BrokerLogins;
  /** The database URL of each service, with its own login, by service name. */
  databaseUrls: Record<string, string>;
  staffFile: string;
  openIdClientsFile: string;
  /** Stable, because clients of the registry are configured with it. */
  registryPort: number;
  /** Addresses of the store's broker and database as host:port, forbidden as upstreams of the gateway. */
  ownEndpoints: string[];
  /** The secret key of each service, by service name. */
  serviceKeys: Record<string, string>;
  config: ConfigSecrets;
}

export interface Launch {
  command: string;
  args: string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** In dense mode: the services to start in this process, as of now. */
  hosted?: () => HostedLaunch[];
}

/** A service that the process of dense mode starts. */
export interface HostedLaunch {
  name: string;
  main: string;
  env: NodeJS.ProcessEnv;
}

/** Settings restricted to one service, as a value or as a file name. */
const belongsTo: Record<string, string> = {
  PROVIDER_TOKEN: 'payments',
  SMTP_URL: 'notifications',
  REDIS_URL: 'gateway',
  STAFF: 'identity',
  OIDC_CLIENTS: 'identity',
  CONFIG_KEY: 'config',
  CONFIG_CLIENTS: 'config',
};
const getOwner = (name: string): string | undefined => belongsTo[name.replace(/_FILE$/, '')];
const blockedVariables =
  /^(DATABASE_URL.*|CONFIG_PASSWORD.*|SERVICE_KEY.*|RABBITMQ_.*|BROKER_OPERATOR|JOGAKBO_.*|TEST_.*|PG[A-Z]+|npm_.*|INIT_CWD|NODE_CHANNEL_.*|NX_.*)$/;

/** Services that call or admit externally registered upstreams. */
const upstreamClients = new Set(['gateway', 'registry']);
const getDeniedUpstreams = (
  { ownEndpoints }: LaunchContext,
  { DENIED_UPSTREAMS }: NodeJS.ProcessEnv,
): string => [...ownEndpoints, ...(DENIED_UPSTREAMS ? [DENIED_UPSTREAMS] : [])].join();

/** Routes that the gateway must have before the store is ready. */
const requiredRoutes = 'POST /v1/orders,POST /v1/sessions';
const getPort = (name: string, { port, registryPort }: LaunchContext): number =>
  name === 'gateway' ? port : name === 'registry' ? registryPort : 0;
const canSell = ({ databaseUrls }: LaunchContext) => Boolean(databaseUrls.orders && databaseUrls.identity);

/** The settings of a service that the store keeps in files. A service rejects a setting with both a value and a file. */
function getSettingFiles(app: string, context: LaunchContext, user: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const files: Record<string, string> = {
    STAFF: context.staffFile,
    OIDC_CLIENTS: user.OIDC_CLIENTS_FILE || context.openIdClientsFile,
    CONFIG_KEY: context.config.keyFile,
    CONFIG_CLIENTS: context.config.clientsFile,
  };
  const own = Object.entries(files).filter(([name]) => belongsTo[name] === app && !user[name]);
  return Object.fromEntries(own.map(([name, file]) => [`${name}_FILE`, file]));
}

/** The user's environment without secrets of other services, overridden by the service's own settings. */
export function buildEnvironment(
  app: Pick<App, 'name' | 'hasDatabase'>,
  context: LaunchContext,
  user: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  const passed = Object.entries(user).filter(
    ([name]) => !blockedVariables.test(name) && (getOwner(name) ?? app.name) === app.name,
  );
  return {
    ...Object.fromEntries(passed),
    HOST: '127.0.0.1',
    // Simulates missing external systems. `LOCAL_MODE=false npm start` reports the settings that a real store needs.
    LOCAL_MODE: user.LOCAL_MODE ?? 'true',
    PORT: String(getPort(app.name, context)),
    // `jogakbo serve` starts the next instance while the current one still listens.
    ...(getPort(app.name, context) && process.platform === 'linux' ? { REUSE_PORT: 'true' } : {}),
    RABBITMQ_URL: context.broker.urls[app.name],
    ...(context.broker.operator ? { BROKER_OPERATOR: context.broker.operator } : {}),
    TOKEN_ISSUER: context.publicUrl,
    ...(app.name === 'gateway' && canSell(context) && !user.READY_ROUTES
      ? { READY_ROUTES: requiredRoutes }
      : {}),
    // glibc allocates one arena per thread and rarely returns its memory.
    MALLOC_ARENA_MAX: user.MALLOC_ARENA_MAX ?? '2',
    NODE_COMPILE_CACHE: join(context.state.folder, 'compile-cache'),
    ...(app.hasDatabase ? { DATABASE_URL: context.databaseUrls[app.name] } : {}),
    ...getSettingFiles(app.name, context, user),
    ...(upstreamClients.has(app.name) ? { DENIED_UPSTREAMS: getDeniedUpstreams(context, user) } : {}),
    SERVICE_KEY: context.serviceKeys[app.name],
    CONFIG_PASSWORD: context.config.passwords[app.name],
    CONFIG_CACHE: join(context.state.folder, 'config-cache'),
  };
}

/**
 * Node's memory limits for a service, in megabytes. The gateway handles up to thousands of connections. With a smaller
 * young generation, a sixth of its time goes into promoting objects to the old one. The config server and the registry
 * have less, because no member's request waits for them.
 */
const getNodeFlags = (name: string): string[] => {
  const young = { gateway: 16, config: 2, registry: 2 }[name] ?? 4;
  const old = name === 'gateway' ? 256 : 128;
  return [
    `--max-semi-space-size=${young}`,
    `--max-old-space-size=${old}`,
    `--import=./apps/${name}/dist/source-maps.js`,
  ];
};

export function prepareLaunch(app: App, context: LaunchContext, args: string[] = []): Launch {
  return {
    command: nodePath(),
    args: [...getNodeFlags(app.name), app.main, ...args],
    cwd: root,
    env: buildEnvironment(app, context),
  };
}
