import { type BackingService, createExternalService, maskPassword } from '../backing-service.ts';
import { probeBroker } from './broker-probe.ts';
import { isDockerRunning, startDockerBroker } from './docker-broker.ts';
import { CliError, toMessage } from '../../terminal/cli-error.ts';
import { canInstallBroker, installBroker } from './install-broker.ts';
import { type BrokerConfiguration, findInstalledBroker, startPrivateBroker } from './private-broker.ts';
import { isTlsRequested } from '../tls/store-tls.ts';

/** How a start gets a broker: the kind of the backing service, or `install`, which makes `process` possible. */
export type BrokerWay = 'external' | 'container' | 'process' | 'install';

const brokerRemedies = [
  'use an external broker:  RABBITMQ_URL=amqp://user:password@host:5672 npm start',
  'or start Docker, and run npm start again',
  'or install RabbitMQ (Debian, Ubuntu: sudo apt-get install rabbitmq-server; macOS: brew install rabbitmq)',
];

/** The available ways to get a broker on this machine, best first. */
export async function findBrokerWays(env = process.env): Promise<BrokerWay[]> {
  if (env.RABBITMQ_URL) return ['external'];
  // The server in a container could not read a key file with mode 0600.
  const forced = isTlsRequested(env) ? 'local' : env.JOGAKBO_BROKER;
  if (isTlsRequested(env) && env.JOGAKBO_BROKER === 'docker') {
    throw new CliError(
      'JOGAKBO_TLS=1 needs a RabbitMQ on this machine, but JOGAKBO_BROKER=docker runs it in a container.',
      {
        remedies: ['unset JOGAKBO_BROKER, or unset JOGAKBO_TLS'],
      },
    );
  }
  if (forced && forced !== 'docker' && forced !== 'local') {
    throw new CliError(`JOGAKBO_BROKER is "${forced}", which is not supported.`, {
      remedies: ['set it to docker or local, or unset it'],
    });
  }
  const ways: BrokerWay[] = [];
  if (forced !== 'local' && (await isDockerRunning())) ways.push('container');
  if (forced !== 'docker' && findInstalledBroker()) ways.push('process');
  else if (forced !== 'docker' && canInstallBroker()) ways.push('install');
  return ways;
}

export async function assertExternalBroker(url: string): Promise<void> {
  const reason = await probeBroker(url);
  if (!reason) return;
  throw new CliError(`RABBITMQ_URL cannot be used: ${reason}.`, {
    details: [`RABBITMQ_URL=${maskPassword(url)}`],
    remedies: [
      'check the address, the user and the password, and that the broker runs',
      'use the form amqp://user:password@host:5672/vhost',
      'or unset RABBITMQ_URL to start a private broker',
    ],
  });
}

/** The broker of RABBITMQ_URL, else a private broker, started in the first way that succeeds. */
export async function provideBroker(
  place: BrokerConfiguration,
  report: (text: string) => void,
): Promise<BackingService> {
  const ways = await findBrokerWays(
    place.throwaway ? { ...process.env, RABBITMQ_URL: '', JOGAKBO_TLS: '' } : process.env,
  );
  let lastError: CliError | undefined;
  for (const way of ways) {
    try {
      if (way === 'external') {
        const url = process.env.RABBITMQ_URL!;
        await assertExternalBroker(url);
        return createExternalService('the RabbitMQ of RABBITMQ_URL', url);
      }
      if (way === 'container') return await startDockerBroker(place, report);
      if (way === 'install') await installBroker(report);
      place.abort?.throwIfAborted();
      const server = findInstalledBroker();
      if (!server)
        throw new CliError('rabbitmq-server was installed but cannot be found.', {
          remedies: brokerRemedies,
        });
      report('starting a private RabbitMQ');
      return await startPrivateBroker(server, place);
    } catch (error) {
      if (!(error instanceof CliError) || way === ways.at(-1)) throw error;
      lastError = error;
      report(`${toMessage(error)} Trying another way to start RabbitMQ.`);
    }
  }
  throw (
    lastError ??
    new CliError('RabbitMQ is not running and cannot be started on this machine.', {
      details: [
        'RABBITMQ_URL is not set.',
        ...(process.env.JOGAKBO_BROKER
          ? [`JOGAKBO_BROKER=${process.env.JOGAKBO_BROKER} excludes the other ways.`]
          : []),
        ...(isTlsRequested() ? ['JOGAKBO_TLS=1 excludes Docker.'] : []),
        ...(process.env.JOGAKBO_BROKER === 'local' || isTlsRequested() ? [] : ['Docker is not running.']),
        ...(process.env.JOGAKBO_BROKER === 'docker'
          ? []
          : ['rabbitmq-server is not installed. Installing it requires root on Debian or Ubuntu.']),
      ],
      remedies: brokerRemedies,
    })
  );
}
