import { join } from 'node:path';
import { type BrokerLogins } from '../backing/rabbitmq/broker-logins.ts';
import { type ConfigSecrets } from './config-secrets.ts';
import { type State } from './state.ts';
import { type App, nodePath, root } from '../workspace.ts';

export interface Surroundings {
  state: State;
  publicUrl: string;
  port: number;
  broker: BrokerLogins;
  /** The login of each service for its own database, by the name of the service. */
  databaseUrls: Record<string, string>;
  staffFile: string;
  openIdClientsFile: string;
  /** Clients of the registry are configured with it, so it stays the same. */
  registryPort: number;
  /** Where the store's own broker and database listen, as host:port: no upstream of the gateway may be there. */
  ownEndpoints: string[];
  /** The secret key of each service, by its name. */
  serviceKeys: Record<string, string>;
  config: ConfigSecrets;
}

export interface Launch {
  command: string;
  args: string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
}

/** Settings that only one service may see, as a value or as the name of a file. */
const belongsTo: Record<string, string> = {
  ...{ PROVIDER_TOKEN: 'payments', SMTP_URL: 'notifications', REDIS_URL: 'gateway' },
  ...{ STAFF: 'identity', OIDC_CLIENTS: 'identity' },
  ...{ CONFIG_KEY: 'config', CONFIG_CLIENTS: 'config' },
};
const getOwner = (name: string): string | undefined => belongsTo[name.replace(/_FILE$/, '')];
const neverPassed =
  /^(DATABASE_URL.*|CONFIG_PASSWORD.*|SERVICE_KEY.*|RABBITMQ_.*|BROKER_OPERATOR|JOGAKBO_.*|TEST_.*|PG[A-Z]+|npm_.*|INIT_CWD|NODE_CHANNEL_.*|NX_.*)$/;

/** Who asks, or permits others to ask, what registered from outside. */
const asksUpstreams = new Set(['gateway', 'registry']);
const deniedUpstreams = ({ ownEndpoints }: Surroundings, { DENIED_UPSTREAMS }: NodeJS.ProcessEnv): string =>
  [...ownEndpoints, ...(DENIED_UPSTREAMS ? [DENIED_UPSTREAMS] : [])].join();

/** What the gateway must know before the store is ready. */
const toSell = 'POST /v1/orders,POST /v1/sessions';
const getPort = (name: string, { port, registryPort }: Surroundings): number =>
  name === 'gateway' ? port : name === 'registry' ? registryPort : 0;
const sells = ({ databaseUrls }: Surroundings) => Boolean(databaseUrls.orders && databaseUrls.identity);

/** What the store keeps in files for one service. A service refuses a setting that has both a value and a file. */
function keptFiles(app: string, around: Surroundings, user: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const files: Record<string, string> = {
    STAFF: around.staffFile,
    OIDC_CLIENTS: user.OIDC_CLIENTS_FILE || around.openIdClientsFile,
    CONFIG_KEY: around.config.keyFile,
    CONFIG_CLIENTS: around.config.clientsFile,
  };
  const own = Object.entries(files).filter(([name]) => belongsTo[name] === app && !user[name]);
  return Object.fromEntries(own.map(([name, file]) => [`${name}_FILE`, file]));
}

/** The user's environment without anybody else's secrets, and the service's own settings on top. */
export function serviceEnvironment(
  app: Pick<App, 'name' | 'hasDatabase'>,
  around: Surroundings,
  user: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  const passed = Object.entries(user).filter(
    ([name]) => !neverPassed.test(name) && (getOwner(name) ?? app.name) === app.name,
  );
  return {
    ...Object.fromEntries(passed),
    HOST: '127.0.0.1',
    // What is not configured is simulated: `LOCAL_MODE=false npm start` shows what is missing for a real store.
    LOCAL_MODE: user.LOCAL_MODE ?? 'true',
    PORT: String(getPort(app.name, around)),
    // `jogakbo serve` starts the next instance while the present one still listens.
    ...(getPort(app.name, around) && process.platform === 'linux' ? { REUSE_PORT: 'true' } : {}),
    RABBITMQ_URL: around.broker.urls[app.name],
    ...(around.broker.operator ? { BROKER_OPERATOR: around.broker.operator } : {}),
    TOKEN_ISSUER: around.publicUrl,
    ...(app.name === 'gateway' && sells(around) && !user.READY_ROUTES ? { READY_ROUTES: toSell } : {}),
    // Where many threads of a small process each take memory of their own, most of it is never given back.
    MALLOC_ARENA_MAX: user.MALLOC_ARENA_MAX ?? '2',
    NODE_COMPILE_CACHE: join(around.state.folder, 'compile-cache'),
    ...(app.hasDatabase ? { DATABASE_URL: around.databaseUrls[app.name] } : {}),
    ...keptFiles(app.name, around, user),
    ...(asksUpstreams.has(app.name) ? { DENIED_UPSTREAMS: deniedUpstreams(around, user) } : {}),
    SERVICE_KEY: around.serviceKeys[app.name],
    CONFIG_PASSWORD: around.config.passwords[app.name],
    CONFIG_CACHE: join(around.state.folder, 'config-cache'),
  };
}

/**
 * Node's flags for a service: the most that its memory may take, in megabytes. The gateway has more under way than the
 * others, thousands of connections at worst: what does not fit into its young generation is moved to the old one, and a
 * sixth of the time goes into that. No request of a member waits for the config server or the registry: they have less.
 */
const nodeFlags = (name: string): string[] => {
  const young = { gateway: 16, config: 2, registry: 2 }[name] ?? 4;
  const old = name === 'gateway' ? 256 : 128;
  return [`--max-semi-space-size=${young}`, `--max-old-space-size=${old}`, '--enable-source-maps'];
};

export function prepareLaunch(app: App, around: Surroundings, args: string[] = []): Launch {
  return {
    command: nodePath(),
    args: [...nodeFlags(app.name), app.main, ...args],
    cwd: root,
    env: serviceEnvironment(app, around),
  };
}
