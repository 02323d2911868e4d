import { spawn } from 'node:child_process';
import {
  existsSync,
  globSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  realpathSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { writeBasicCredentials } from '@jogakbo/service/basic-credentials';
import { administratorLogin, type BackingService } from '../backing-service.ts';
import { getLostName, hasOtherPassword, recordPassword } from '../data-password.ts';
import { probeBroker } from './broker-probe.ts';
import { endEpmd, findEpmds, writeErlangCookie } from './erlang.ts';
import { deadLetterArguments } from './retry-delays.ts';
import { authorityFile, certificateFile, keyFile } from '../tls/certificate-files.ts';
import { CliError } from '../../terminal/cli-error.ts';
import {
  end,
  readCommand,
  isAlive,
  identifyProcess,
  type ProcessIdentity,
  signal,
  signalGroup,
  listTree,
  waitUntilGone,
} from '../../supervisor/processes.ts';
import { brokerServer, withCertificate } from '../tls/store-tls.ts';

export interface BrokerConfiguration {
  folder: string;
  logs: string;
  name: string;
  password: string;
  ports: { amqp: number; management: number; distribution: number; epmd: number };
  /** Folder of the certificates. If set, every client needs a certificate. */
  tls?: string;
  /** A throw-away broker is killed instead of stopped, because its data is not needed. */
  throwaway: boolean;
  /** Cancels a start. */
  abort?: AbortSignal;
}

/** Finds a start script that respects the environment. Debian's script in /usr/sbin enforces its own user and paths. */
export function findInstalledBroker(): string | undefined {
  const candidates = [
    '/usr/lib/rabbitmq/bin/rabbitmq-server',
    ...globSync('/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server'),
    '/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server',
    '/usr/local/opt/rabbitmq/sbin/rabbitmq-server',
    ...globSync('/opt/rabbitmq*/sbin/rabbitmq-server'),
    ...(process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'rabbitmq-server')),
  ];
  return candidates.find((path) => existsSync(path) && !realpathSync(path).startsWith('/usr/sbin/'));
}

/** Clients can log in only with a certificate of the store's authority, as the login in its common name. */
const buildTlsSettings = (folder: string, port: number): string[] => [
  'listeners.tcp = none',
  `listeners.ssl.local = 127.0.0.1:${port}`,
  `ssl_options.cacertfile = ${authorityFile(folder)}`,
  `ssl_options.certfile = ${certificateFile(folder, brokerServer)}`,
  `ssl_options.keyfile = ${keyFile(folder, brokerServer)}`,
  'ssl_options.verify = verify_peer',
  'ssl_options.fail_if_no_peer_cert = true',
  'ssl_options.versions.1 = tlsv1.3',
  'ssl_options.versions.2 = tlsv1.2',
  'ssl_cert_login_from = common_name',
  'auth_mechanisms.1 = EXTERNAL',
];

function buildSettings({ password, ports, logs, tls }: BrokerConfiguration): string {
  return [
    ...(tls ? buildTlsSettings(tls, ports.amqp) : [`listeners.tcp.local = 127.0.0.1:${ports.amqp}`]),
    // Always without TLS: browsers do not trust the store's authority, and the listener is local.
    'management.tcp.ip = 127.0.0.1',
    `management.tcp.port = ${ports.management}`,
    `default_user = ${administratorLogin}`,
    `default_pass = ${password}`,
    'default_user_tags.administrator = true',
    'vm_memory_high_watermark.absolute = 512MB',
    'disk_free_limit.absolute = 200MB',
    // The largest configurable request body of a gateway, after encryption. The broker's default is eight times larger.
    'max_message_size = 16777216',
    'raft.wal_max_size_bytes = 33554432',
    'management.rates_mode = basic',
    'management_agent.disable_metrics_collector = false',
    'collect_statistics_interval = 10000',
    'log.console = false',
    `log.dir = ${logs}`,
    'log.file = broker.log',
    'log.file.level = info',
    'log.file.rotation.size = 20971520',
    'log.file.rotation.count = 1',
    '',
  ].join('\n');
}

const getDataFolder = ({ folder }: Pick<BrokerConfiguration, 'folder'>): string => join(folder, 'data');

function buildEnvironment(place: BrokerConfiguration): NodeJS.ProcessEnv {
  const { folder, ports } = place;
  return {
    PATH: `${process.env.PATH ?? ''}${delimiter}/usr/local/bin${delimiter}/usr/bin${delimiter}/bin`,
    LANG: 'C.UTF-8',
    HOME: folder,
    // The script then execs the broker instead of waiting for it.
    detached: 'true',
    RABBITMQ_CONF_ENV_FILE: join(folder, 'rabbitmq-env.conf'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, 'advanced.config'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: getDataFolder(place),
    RABBITMQ_LOG_BASE: place.logs,
    RABBITMQ_GENERATED_CONFIG_DIR: join(folder, 'generated'),
    RABBITMQ_PID_FILE: join(folder, 'broker.pid'),
    RABBITMQ_NODENAME: `${place.name}@localhost`,
    RABBITMQ_DIST_PORT: String(ports.distribution),
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_MAX_NUMBER_OF_PROCESSES: '65536',
    ERL_MAX_PORTS: '8192',
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: [
      '+S 2:2 +SDcpu 2:2 +SDio 2 +sbwt none +sbwtdcpu none +sbwtdio none',
      '-kernel inet_dist_use_interface {127,0,0,1}',
      deadLetterArguments,
    ].join(' '),
  };
}

async function isReady(url: string, management: string, password: string): Promise<boolean> {
  if (await probeBroker(url, 1_000)) return false;
  try {
    const response = await fetch(`${management}/api/whoami`, {
      headers: { authorization: writeBasicCredentials(administratorLogin, password) },
      signal: AbortSignal.timeout(2_000),
    });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}

function readLastLines(path: string, count: number): string[] {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-count);
  } catch {
    return [];
  }
}

/** Finds the running broker of a killed supervisor in this folder. */
export function findRunningBroker({
  folder,
}: Pick<BrokerConfiguration, 'folder'>): ProcessIdentity | undefined {
  const pid = Number(readLastLines(join(folder, 'broker.pid'), 1)[0]);
  return pid && readCommand(pid).includes(`-home ${folder} `) ? identifyProcess(pid) : undefined;
}

/** Starts the private RabbitMQ of a place, or takes over the one that runs there. @throws CliError if it does not start */
export async function startPrivateBroker(
  server: string,
  place: BrokerConfiguration,
): Promise<BackingService> {
  const broker = new PrivateBroker(server, place);
  await broker.open();
  return broker;
}

class PrivateBroker implements BackingService {
  readonly kind = 'process';
  readonly title: string;
  readonly url: string;
  readonly managementUrl: string;
  readonly tls: string | undefined;
  readonly #server: string;
  readonly #place: BrokerConfiguration;
  #process?: ProcessIdentity;

  constructor(server: string, place: BrokerConfiguration) {
    const { ports, password, tls } = place;
    this.#server = server;
    this.#place = place;
    this.title = `a private RabbitMQ${tls ? ' with TLS' : ''}`;
    this.url = tls
      ? withCertificate(`amqps://${administratorLogin}@127.0.0.1:${ports.amqp}`, tls, administratorLogin)
      : `amqp://${administratorLogin}:${password}@127.0.0.1:${ports.amqp}`;
    this.managementUrl = `http://127.0.0.1:${ports.management}`;
    this.tls = tls;
  }

  roots(): ProcessIdentity[] {
    return this.#process ? [this.#process, ...findEpmds(this.#place.ports.epmd)] : [];
  }

  isAlive(): boolean {
    return isAlive(this.#process);
  }

  async open(): Promise<void> {
    this.#process = findRunningBroker(this.#place);
    if (!this.#process) return this.start();
    // If the TLS mode has changed, the running broker cannot be used.
    const settings = readLastLines(join(this.#place.folder, 'rabbitmq.conf'), 100);
    const ranWithTls = settings.some((line) => /^listeners\.ssl/.test(line));
    const until = Date.now() + (ranWithTls === (this.tls !== undefined) ? 10_000 : 0);
    let ready = false;
    while (!(ready = await this.#isReady()) && this.isAlive() && Date.now() < until) await pause(200);
    if (ready) return recordPassword(getDataFolder(this.#place), this.#place.password);
    await this.stop();
    await this.start();
  }

  async start(): Promise<void> {
    const { throwaway, password } = this.#place;
    const data = getDataFolder(this.#place);
    if (!throwaway && hasOtherPassword(data, password)) renameSync(data, getLostName(data));
    this.#process = spawnBroker(this.#server, this.#place);
    const until = Date.now() + 90_000;
    while (!(await this.#isReady())) {
      if (!this.isAlive() || Date.now() > until || this.#place.abort?.aborted) {
        await this.stop();
        throw this.#place.abort?.aborted ? this.#place.abort.reason : createStartError(this.#place);
      }
      await pause(150);
    }
    recordPassword(data, password);
  }

  async stop(force = false): Promise<void> {
    const { ports, throwaway } = this.#place;
    const broker = this.#process;
    const children = broker ? listTree(broker.pid).map(identifyProcess) : [];
    // epmd first: if this process is killed during the stop, epmd could not be found later. The broker does not need it.
    await endEpmd(ports.epmd);
    if (throwaway) {
      signal(broker, 'SIGKILL');
      await waitUntilGone(broker, 5_000);
    } else {
      // No immediate SIGKILL: within 3 s of a declare it can corrupt a quorum queue permanently.
      await end(broker, { timeoutMs: force ? 3_500 : 30_000 });
    }
    for (const child of children) await end(child, { timeoutMs: 1_000 });
    // A broker that is stopped during its start may have spawned more processes and another epmd.
    if (broker) signalGroup(broker.pid, 'SIGKILL');
    await endEpmd(ports.epmd);
  }

  #isReady(): Promise<boolean> {
    return isReady(this.url, this.managementUrl, this.#place.password);
  }
}

/** Writes the configuration and spawns the server. */
function spawnBroker(server: string, place: BrokerConfiguration): ProcessIdentity | undefined {
  const { folder, logs, tls } = place;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  writeErlangCookie(folder);
  writeFileSync(join(folder, 'rabbitmq-env.conf'), '');
  writeFileSync(join(folder, 'advanced.config'), '[].\n');
  const plugins = ['rabbitmq_management', ...(tls ? ['rabbitmq_auth_mechanism_ssl'] : [])];
  writeFileSync(join(folder, 'enabled_plugins'), `[${plugins.join(',')}].\n`);
  writeFileSync(join(folder, 'rabbitmq.conf'), buildSettings(place), { mode: 0o600 });
  const output = openSync(join(logs, 'broker-output.log'), 'w', 0o600);
  // Its own session: Ctrl-C reaches only the supervisor, which stops the broker last.
  const child = spawn(server, [], {
    cwd: folder,
    detached: true,
    env: buildEnvironment(place),
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  child.on('error', () => undefined);
  child.unref();
  writeFileSync(join(folder, 'broker.pid'), String(child.pid));
  return identifyProcess(child.pid);
}

const createStartError = ({ logs }: BrokerConfiguration): CliError =>
  new CliError('The private RabbitMQ did not start.', {
    details: [
      ...readLastLines(join(logs, 'broker-output.log'), 8),
      ...readLastLines(join(logs, 'broker.log'), 8),
    ],
    remedies: [
      `read ${join(logs, 'broker.log')}`,
      'or use an external broker:  RABBITMQ_URL=amqp://user:password@host:5672 npm start',
    ],
  });
