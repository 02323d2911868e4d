import { config, ReadSettings } from '@jogakbo/contracts-config';
import { deriveKey } from '@jogakbo/consistency';
import { BrokerConnection, Publisher, queues, RabbitClient, within, type Ask } from '@jogakbo/messaging';
import type { ServerValue } from './setting-state.ts';
import type { PlatformSettings } from './settings.ts';

/** The longest wait of a start for the config server, in milliseconds. */
const startTimeoutMs = 1_000;

/** Derives the key that encrypts the secrets of a service on their way from the config server. */
export const deriveClientKey = (service: string, password: string): Buffer =>
  deriveKey(password, `config client ${service}`);

export const listProfiles = ({ configProfiles }: PlatformSettings): string[] => configProfiles.split(',');

/** Asks the config server for the values of a service, by field. @throws Rejection @throws RemoteFault */
export async function readServerValues(
  ask: Ask,
  service: string,
  platform: PlatformSettings,
  timeout: number,
): Promise<Map<string, ServerValue>> {
  const request = {
    application: service,
    profiles: listProfiles(platform),
    label: platform.configLabel,
  };
  const { sources } = await ask(ReadSettings, request, { timeout });
  const values = new Map<string, ServerValue>();
  for (const { application, profile, settings } of sources) {
    // The first source has precedence.
    for (const one of settings)
      if (!values.has(one.key)) values.set(one.key, { ...one, application, profile });
  }
  return values;
}

/** Uses a separate connection, and closes it. Undefined without an answer in time. Never throws. */
export async function readServerValuesAtStart(
  service: string,
  platform: PlatformSettings,
): Promise<Map<string, ServerValue> | undefined> {
  const until = Date.now() + startTimeoutMs;
  const connection = new BrokerConnection({ operator: platform.brokerOperator });
  const asked = (async () => {
    try {
      await connection.open(platform.rabbitmqUrl, `${service} asks for settings`, 1);
      if (!(await hasConfigServer(connection))) return undefined;
      const publisher = new Publisher(connection);
      await publisher.open();
      const client = new RabbitClient(connection, publisher, service);
      await client.connect();
      return await readServerValues(client.ask, service, platform, Math.max(1, until - Date.now()));
    } finally {
      void connection.close().catch(() => {});
    }
  })();
  return within(startTimeoutMs, asked).catch(() => undefined);
}

/** Whether a config server is running. Uses a separate channel, because a missing queue closes it. */
async function hasConfigServer({ model }: BrokerConnection): Promise<boolean> {
  const channel = await model!.createChannel();
  channel.on('error', () => {});
  const { consumerCount } = await channel
    .checkQueue(queues.queries(config.name))
    .catch(() => ({ consumerCount: 0 }));
  return consumerCount > 0;
}
