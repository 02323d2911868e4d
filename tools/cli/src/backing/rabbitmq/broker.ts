import { type BackingService, given, withoutPassword } from '../backing-service.ts';
import { probeBroker } from './broker-probe.ts';
import { dockerRuns, startDockerBroker } from './docker-broker.ts';
import { CliError, toMessage } from '../../terminal/cli-error.ts';
import { canInstallBroker, installBroker } from './install-broker.ts';
import { type BrokerPlace, findInstalledBroker, startPrivateBroker } from './private-broker.ts';
import { tlsIsWanted } from '../tls/store-tls.ts';

export type BrokerWay = 'given' | 'docker' | 'installed' | 'install';

const howToGetOne = [
  'give a broker of your own:  RABBITMQ_URL=amqp://user:password@host:5672 npm start',
  'or start Docker, and run npm start again',
  'or install RabbitMQ (Debian, Ubuntu: sudo apt-get install rabbitmq-server; macOS: brew install rabbitmq)',
];

/** The ways to a broker that are open on this machine, best first. */
export async function brokerWays(env = process.env): Promise<BrokerWay[]> {
  if (env.RABBITMQ_URL) return ['given'];
  // The server of a container could not read a key that is closed to all but us.
  const forced = tlsIsWanted(env) ? 'local' : env.JOGAKBO_BROKER;
  if (tlsIsWanted(env) && env.JOGAKBO_BROKER === 'docker') {
    throw new CliError(
      'JOGAKBO_TLS=1 needs a RabbitMQ that runs here; JOGAKBO_BROKER=docker runs it in a container.',
      {
        remedies: ['unset JOGAKBO_BROKER, or unset JOGAKBO_TLS'],
      },
    );
  }
  if (forced && forced !== 'docker' && forced !== 'local') {
    throw new CliError(`JOGAKBO_BROKER is "${forced}".`, {
      remedies: ['set it to docker or local, or not at all'],
    });
  }
  const ways: BrokerWay[] = [];
  if (forced !== 'local' && (await dockerRuns())) ways.push('docker');
  if (forced !== 'docker' && findInstalledBroker()) ways.push('installed');
  else if (forced !== 'docker' && canInstallBroker()) ways.push('install');
  return ways;
}

export async function checkGivenBroker(url: string): Promise<void> {
  const fault = await probeBroker(url);
  if (!fault) return;
  throw new CliError(`RABBITMQ_URL cannot be used: ${fault}.`, {
    details: [`RABBITMQ_URL=${withoutPassword(url)}`],
    remedies: [
      'check the address, the user and the password, and that the broker runs',
      'the form is amqp://user:password@host:5672/vhost',
      'or unset RABBITMQ_URL, and a private broker is started',
    ],
  });
}

/** The broker of RABBITMQ_URL, else one of our own in the first way that works. */
export async function provideBroker(
  place: BrokerPlace,
  say: (text: string) => void,
): Promise<BackingService> {
  const ways = await brokerWays(
    place.throwaway ? { ...process.env, RABBITMQ_URL: '', JOGAKBO_TLS: '' } : process.env,
  );
  let lastFault: CliError | undefined;
  for (const way of ways) {
    try {
      if (way === 'given') {
        const url = process.env.RABBITMQ_URL!;
        await checkGivenBroker(url);
        return given('the RabbitMQ of RABBITMQ_URL', url);
      }
      if (way === 'docker') return await startDockerBroker(place, say);
      if (way === 'install') await installBroker(say);
      place.abort?.throwIfAborted();
      const server = findInstalledBroker();
      if (!server)
        throw new CliError('rabbitmq-server was installed but cannot be found.', { remedies: howToGetOne });
      say('starting a private RabbitMQ');
      return await startPrivateBroker(server, place);
    } catch (error) {
      if (!(error instanceof CliError) || way === ways.at(-1)) throw error;
      lastFault = error;
      say(`${toMessage(error)} Trying the next way.`);
    }
  }
  throw (
    lastFault ??
    new CliError('There is no RabbitMQ, and no way to start one here.', {
      details: [
        'RABBITMQ_URL is not set.',
        ...(process.env.JOGAKBO_BROKER
          ? [`JOGAKBO_BROKER=${process.env.JOGAKBO_BROKER} allows no other way.`]
          : []),
        ...(tlsIsWanted() ? ['JOGAKBO_TLS=1 allows none in Docker.'] : []),
        ...(process.env.JOGAKBO_BROKER === 'local' || tlsIsWanted() ? [] : ['Docker does not run.']),
        ...(process.env.JOGAKBO_BROKER === 'docker'
          ? []
          : ['No rabbitmq-server is installed, and installing it takes root on Debian or Ubuntu.']),
      ],
      remedies: howToGetOne,
    })
  );
}
