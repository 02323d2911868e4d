import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { administratorLogin, type BackingService } from '../backing-service.ts';
import { getLostName, hasOtherPassword, recordPassword } from '../data-password.ts';
import { probeBroker } from './broker-probe.ts';
import { CliError } from '../../terminal/cli-error.ts';
import { writeErlangCookie } from './erlang.ts';
import { type BrokerConfiguration } from './private-broker.ts';
import { deadLetterArguments } from './retry-delays.ts';

export const image = 'rabbitmq:4.2.9-management';

interface Result {
  ok: boolean;
  output: string;
}

/** @param abort ends the command before it has finished */
function docker(args: string[], timeout = 30_000, abort?: AbortSignal): Promise<Result> {
  const options = { timeout, encoding: 'utf8' as const, env: process.env, ...(abort && { signal: abort }) };
  return new Promise((resolve) =>
    execFile('docker', args, options, (error, stdout, stderr) =>
      resolve({ ok: !error, output: `${stdout}${stderr}`.trim() }),
    ),
  );
}

export async function isDockerRunning(): Promise<boolean> {
  return (await docker(['info', '--format', '{{.ServerVersion}}'], 3_000)).ok;
}

export const getContainer = (place: Pick<BrokerConfiguration, 'name'>) =>
  `jogakbo-rabbitmq-${place.name.replace(/^jogakbo-/, '')}`;

const getConfiguration = ({ folder }: Pick<BrokerConfiguration, 'folder'>) => join(folder, 'container.conf');

export async function isDockerBrokerRunning(
  place: Pick<BrokerConfiguration, 'name' | 'folder'>,
): Promise<boolean> {
  return existsSync(getConfiguration(place)) && isContainerRunning(getContainer(place), 3_000);
}

/** False also if Docker itself does not run. */
export const isContainerRunning = async (name: string, timeoutMs?: number): Promise<boolean> =>
  (await docker(['inspect', '--format', '{{.State.Running}}', name], timeoutMs)).output === 'true';

/** @throws CliError if the image is not available; the caller then tries another way */
export async function startDockerBroker(
  place: BrokerConfiguration,
  report: (text: string) => void,
): Promise<BackingService> {
  const broker = new DockerBroker(place, report);
  await broker.start();
  return broker;
}

class DockerBroker implements BackingService {
  readonly kind = 'container';
  readonly container: string;
  readonly title: string;
  readonly url: string;
  readonly managementUrl: string;
  readonly #name: string;
  readonly #place: BrokerConfiguration;
  readonly #report: (text: string) => void;

  constructor(place: BrokerConfiguration, report: (text: string) => void) {
    this.#name = getContainer(place);
    this.container = this.#name;
    this.#place = place;
    this.#report = report;
    this.title = `RabbitMQ in the Docker container ${this.#name}`;
    this.url = `amqp://${administratorLogin}:${place.password}@127.0.0.1:${place.ports.amqp}`;
    this.managementUrl = `http://127.0.0.1:${place.ports.management}`;
  }

  roots(): [] {
    return [];
  }

  async isAlive(): Promise<boolean> {
    return isContainerRunning(this.#name);
  }

  async start(): Promise<void> {
    if (await this.isAlive()) {
      if (!(await probeBroker(this.url))) return;
      await docker(['stop', '--time', '20', this.#name]);
    }
    await this.#remove();
    await this.#pull();
    await this.#setLostDataAside();
    this.#place.abort?.throwIfAborted();
    const started = await this.#createAndStart();
    if (!started.ok) {
      // The container may exist even so, for example if a port is in use.
      await this.#remove();
      throw new CliError('Docker could not run RabbitMQ.', { details: started.output.split('\n').slice(-3) });
    }
    await this.#waitUntilReady();
    recordPassword(this.#place.folder, this.#place.password);
  }

  /** Moves a volume whose password is lost to another name. Docker cannot rename volumes, so the data is copied. */
  async #setLostDataAside(): Promise<void> {
    const { folder, password, throwaway } = this.#place;
    if (throwaway || !hasOtherPassword(folder, password)) return;
    const lost = getLostName(this.#name);
    const volumes = ['--volume', `${this.#name}:/from:ro`, '--volume', `${lost}:/to`];
    const copy = ['run', '--rm', '--entrypoint', 'cp', ...volumes, image, '-a', '/from/.', '/to'];
    for (const args of [copy, ['volume', 'rm', this.#name]]) {
      const { ok, output } = await docker(args, 300_000, this.#place.abort);
      this.#place.abort?.throwIfAborted();
      if (!ok)
        throw new CliError('The data of a broker with a lost password could not be set aside.', {
          details: output.split('\n').slice(-3),
        });
    }
    this.#report(`the data of a broker with a lost password is kept in the Docker volume ${lost}`);
  }

  async stop(force = false): Promise<void> {
    if (!this.#place.throwaway) await docker(['stop', '--time', force ? '4' : '20', this.#name], 40_000);
    await docker(['rm', '--force', '--volumes', this.#name]);
  }

  async #remove(): Promise<void> {
    await docker(['rm', '--force', this.#name]);
  }

  async #pull(): Promise<void> {
    if ((await docker(['image', 'inspect', image])).ok) return;
    this.#report(`pulling ${image} with Docker`);
    const { ok, output } = await docker(['pull', '--quiet', image], 300_000, this.#place.abort);
    this.#place.abort?.throwIfAborted();
    if (!ok) throw new CliError(`Docker could not pull ${image}.`, { details: output.split('\n').slice(-3) });
  }

  async #waitUntilReady(): Promise<void> {
    const { abort } = this.#place;
    let reason: string | undefined;
    for (const until = Date.now() + 90_000; (reason = await probeBroker(this.url, 1_000)); await pause(300)) {
      if (!abort?.aborted && Date.now() <= until && (await this.isAlive())) continue;
      const { output } = await docker(['logs', '--tail', '8', this.#name]);
      await this.#remove();
      abort?.throwIfAborted();
      throw new CliError(`RabbitMQ in Docker did not become ready: ${reason}.`, {
        details: output.split('\n'),
      });
    }
  }

  /** Passes the password as a file, because `docker inspect` shows the environment and `ps` the command line. */
  async #createAndStart(): Promise<Result> {
    const { folder, password } = this.#place;
    const configuration = getConfiguration(this.#place);
    mkdirSync(folder, { recursive: true });
    // The folder's mode protects the file. Docker keeps the file's mode, and RabbitMQ's user in the container must read it.
    chmodSync(folder, 0o700);
    writeFileSync(configuration, `default_user = ${administratorLogin}\ndefault_pass = ${password}\n`);
    chmodSync(configuration, 0o644);
    const created = await docker(['create', ...this.#getOptions(), image]);
    if (!created.ok) return created;
    // All local processes can reach the container's address. The image changes the file's owner to RabbitMQ's user.
    const cookie = writeErlangCookie(folder);
    for (const [from, to] of [
      [configuration, '/etc/rabbitmq/conf.d/90-operator.conf'],
      [cookie, '/var/lib/rabbitmq/.erlang.cookie'],
    ] as const) {
      const copied = await docker(['cp', from, `${this.#name}:${to}`]);
      if (!copied.ok) return copied;
    }
    return docker(['start', this.#name]);
  }

  #getOptions(): string[] {
    const { ports, throwaway } = this.#place;
    return [
      ...['--name', this.#name, '--hostname', 'jogakbo'],
      ...['--publish', `127.0.0.1:${ports.amqp}:5672`],
      ...['--publish', `127.0.0.1:${ports.management}:15672`],
      ...['--env', `RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=${deadLetterArguments}`],
      ...(throwaway ? [] : ['--volume', `${this.#name}:/var/lib/rabbitmq`]),
    ];
  }
}
