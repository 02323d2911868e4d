import { join } from 'node:path';
import { toConnectOptions } from '@jogakbo/messaging/address';
import { queues } from '@jogakbo/messaging/topology';
import { connect } from 'amqplib';
import { type BackingService, maskPassword } from '../backing/backing-service.ts';
import { readJson, type StateFolder, writeJson } from '../supervisor/state.ts';
import { CliError } from '../terminal/cli-error.ts';

/**
 * Checks that no other store uses the queues of the services to stub: stubs would take its messages. Once per broker: later
 * the stubs themselves use them.
 * @throws CliError
 */
export async function assertQueuesUnused(
  state: StateFolder,
  { kind, url, title }: Pick<BackingService, 'kind' | 'url' | 'title'>,
  stubbed: readonly { service: string }[],
): Promise<void> {
  // A private broker belongs to this service alone.
  if (kind !== 'external') return;
  const file = join(state.folder, 'own-broker.json');
  const own = { url: maskPassword(url) };
  if (readJson<typeof own>(file)?.url === own.url) return;
  const connection = await connect(url, { ...toConnectOptions(url), noDelay: true });
  connection.on('error', () => undefined);
  try {
    const names = stubbed.flatMap(({ service }) => [
      queues.commands(service),
      queues.queries(service),
      queues.events(service),
    ]);
    const used = (await Promise.all(names.map((name) => isUsed(connection, name)))).flatMap(
      (one) => one ?? [],
    );
    if (used.length === 0) return writeJson(file, own);
    throw new CliError(`Another store runs on ${title}: stubs would take its messages.`, {
      details: used,
      remedies: [
        'unset RABBITMQ_URL, so that a private broker is started',
        'or use a virtual host of its own:  RABBITMQ_URL=amqp://user:password@host:5672/<name>',
      ],
    });
  } finally {
    await connection.close().catch(() => undefined);
  }
}

/** @returns in words how another process uses the queue; undefined if it is unused or missing */
async function isUsed(
  connection: Awaited<ReturnType<typeof connect>>,
  name: string,
): Promise<string | undefined> {
  const channel = await connection.createChannel();
  channel.on('error', () => undefined);
  try {
    const { messageCount, consumerCount } = await channel.checkQueue(name);
    await channel.close();
    return messageCount + consumerCount > 0
      ? `${name} has ${messageCount} messages and ${consumerCount} consumers`
      : undefined;
  } catch {
    // It does not exist; the broker has closed the channel.
    return undefined;
  }
}
