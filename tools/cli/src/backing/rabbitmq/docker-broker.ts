import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type BackingService } from '../backing-service.ts';
import { probeBroker } from './broker-probe.ts';
import { CliError } from '../../terminal/cli-error.ts';
import { type BrokerPlace, brokerUser, deadLetterArguments, writeErlangCookie } from './private-broker.ts';

export const image = 'rabbitmq:4.2.9-management';

interface Result {
  ok: boolean;
  output: string;
}

function docker(args: string[], timeout = 30_000): Promise<Result> {
  return new Promise((resolve) =>
    execFile('docker', args, { timeout, encoding: 'utf8', env: process.env }, (error, stdout, stderr) =>
      resolve({ ok: !error, output: `${stdout}${stderr}`.trim() }),
    ),
  );
}

export async function isDockerRunning(): Promise<boolean> {
  return (await docker(['info', '--format', '{{.ServerVersion}}'], 3_000)).ok;
}

export const getContainer = (place: Pick<BrokerPlace, 'name'>) =>
  `jogakbo-rabbitmq-${place.name.replace(/^jogakbo-/, '')}`;

const getConfiguration = ({ folder }: Pick<BrokerPlace, 'folder'>) => join(folder, 'container.conf');

export async function isDockerBrokerRunning(place: Pick<BrokerPlace, 'name' | 'folder'>): Promise<boolean> {
  if (!existsSync(getConfiguration(place))) return false;
  return (
    (await docker(['inspect', '--format', '{{.State.Running}}', getContainer(place)], 3_000)).output ===
    'true'
  );
}

/** @throws CliError if the image is not available; the caller then tries another way */
export async function startDockerBroker(
  place: BrokerPlace,
  report: (text: string) => void,
): Promise<BackingService> {
  const name = getContainer(place);
  const url = `amqp://${brokerUser}:${place.password}@127.0.0.1:${place.ports.amqp}`;
  const isRunning = async () =>
    (await docker(['inspect', '--format', '{{.State.Running}}', name])).output === 'true';

  /** Passes the password as a file, because `docker inspect` shows the environment and `ps` the command line. */
  async function createAndStart(): Promise<Result> {
    const configuration = getConfiguration(place);
    mkdirSync(place.folder, { recursive: true });
    // The folder's mode protects the file. Docker keeps the file's mode, and RabbitMQ's user in the container must read it.
    chmodSync(place.folder, 0o700);
    writeFileSync(configuration, `default_user = ${brokerUser}\ndefault_pass = ${place.password}\n`);
    chmodSync(configuration, 0o644);
    const created = await docker([
      'create',
      '--name',
      name,
      '--hostname',
      'jogakbo',
      '--publish',
      `127.0.0.1:${place.ports.amqp}:5672`,
      '--publish',
      `127.0.0.1:${place.ports.management}:15672`,
      '--env',
      `RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=${deadLetterArguments}`,
      ...(place.throwaway ? [] : ['--volume', `${name}:/var/lib/rabbitmq`]),
      image,
    ]);
    if (!created.ok) return created;
    // All local processes can reach the container's address. The image changes the file's owner to RabbitMQ's user.
    const cookie = writeErlangCookie(place.folder);
    for (const [from, to] of [
      [configuration, '/etc/rabbitmq/conf.d/90-operator.conf'],
      [cookie, '/var/lib/rabbitmq/.erlang.cookie'],
    ] as const) {
      const copied = await docker(['cp', from, `${name}:${to}`]);
      if (!copied.ok) return copied;
    }
    return docker(['start', name]);
  }

  async function start(): Promise<void> {
    if (await isRunning()) {
      if (!(await probeBroker(url))) return;
      await docker(['stop', '--time', '20', name]);
    }
    await docker(['rm', '--force', name]);
    if (!(await docker(['image', 'inspect', image])).ok) {
      report(`pulling ${image} with Docker`);
      const pulled = await docker(['pull', '--quiet', image], 300_000);
      if (!pulled.ok) {
        throw new CliError(`Docker could not pull ${image}.`, {
          details: pulled.output.split('\n').slice(-3),
        });
      }
    }
    const started = await createAndStart();
    if (!started.ok) {
      // The container may exist even so, for example if a port is in use.
      await docker(['rm', '--force', name]);
      throw new CliError('Docker could not run RabbitMQ.', { details: started.output.split('\n').slice(-3) });
    }
    let fault: string | undefined;
    for (const until = Date.now() + 90_000; (fault = await probeBroker(url, 1_000)); await pause(300)) {
      if (Date.now() > until || !(await isRunning())) {
        const { output } = await docker(['logs', '--tail', '8', name]);
        await docker(['rm', '--force', name]);
        throw new CliError(`RabbitMQ in Docker did not become ready: ${fault}.`, {
          details: output.split('\n'),
        });
      }
    }
  }

  await start();
  return {
    kind: 'docker',
    title: `RabbitMQ in the Docker container ${name}`,
    url,
    managementUrl: `http://127.0.0.1:${place.ports.management}`,
    roots: () => [],
    isAlive: isRunning,
    restart: start,
    stop: async (force) => {
      if (!place.throwaway) await docker(['stop', '--time', force ? '4' : '20', name], 40_000);
      await docker(['rm', '--force', '--volumes', name]);
    },
  };
}
