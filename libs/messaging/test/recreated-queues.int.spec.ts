import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { service, type Announcement } from '@jogakbo/contract';
import { VolatileQueueRecord } from '@jogakbo/messaging';
import { createPrivateBroker, eventually, type PrivateBroker } from '@jogakbo/testing';
import { z } from 'zod';
import { openConnection, serve } from './brokers.ts';

const Stow = service('barn').command('stow', { input: z.strictObject({}) });
const Ground = service('mill').event('ground', z.object({}));

describe('queues that an instance with a share of the traffic declared again', () => {
  let broker: PrivateBroker;
  beforeAll(async () => void (broker = await createPrivateBroker()));
  afterAll(() => broker.drop());

  it('are announced, also the common queue of commands, which another instance consumes', async () => {
    const opened = await openConnection(broker.url);
    const other = await openConnection(broker.url);
    const queueRecord = new VolatileQueueRecord(() => {});
    const handlers: Parameters<typeof serve>[1] = [
      [Stow, async () => undefined],
      [Ground, async () => undefined],
    ];
    const { server: old } = await serve({ service: 'barn', ...other }, [handlers[0]!]);
    let isEnded = false;
    /** As an instance of another version: consumes the common queue as soon as it exists. */
    const consumeCommon = async (): Promise<void> => {
      if (isEnded) return;
      const again = () => void (isEnded || setTimeout(() => void consumeCommon(), 20));
      // RabbitMQ may end a connection whose queue is deleted at that moment (541 INTERNAL_ERROR).
      const channel = await other.connection.model?.createChannel().catch(() => undefined);
      if (!channel) return again();
      channel.on('error', () => {});
      await channel.consume('barn.commands', (message) => message ?? again()).catch(again);
    };
    await consumeCommon();
    await old.close();
    const aliveSince = () => [{ service: 'barn', version: '0' } as Announcement];
    const split = { version: '1', shares: () => ({ '1': 50 }), aliveSince };
    const { server } = await serve({ service: 'barn', ...opened, queueRecord, split }, handlers);
    expect(queueRecord.list().map(({ takes }) => takes)).toEqual([[Ground.name]]);
    // A connection that consumes from neither queue.
    const operator = await openConnection(broker.url);
    const channel = await operator.connection.model!.createChannel();
    for (let round = 0; round < 4; round++) {
      const before = new Set(queueRecord.list().map(({ id }) => id));
      await channel.deleteQueue('barn.commands');
      await channel.deleteQueue('barn.events');
      const listNew = () => queueRecord.list().filter(({ id }) => !before.has(id));
      await eventually(() => listNew().length === 2, 20_000);
      expect(
        listNew()
          .flatMap(({ takes }) => takes)
          .sort(),
      ).toEqual([Stow.name, Ground.name]);
    }
    isEnded = true;
    await server.close();
    await Promise.all([opened, other, operator].map(({ connection }) => connection.close()));
  }, 90_000);

  it('are consumed, even if the connection was lost while the first check for them was under way', async () => {
    const opened = await openConnection(broker.url);
    const model = opened.connection.model!;
    const createChannel = model.createChannel.bind(model);
    let calls = 0;
    // The first is the channel of the consumer, the second one that of the check: it never opens.
    model.createChannel = () => (++calls === 2 ? new Promise(() => undefined) : createChannel());
    const queueRecord = new VolatileQueueRecord(() => {});
    const options = { service: 'barn', ...opened, queueRecord };
    const { server } = await serve(options, [[Stow, async () => undefined]]);
    const channel = await createChannel();
    expect(await channel.checkQueue('barn.commands')).toMatchObject({ consumerCount: 1 });
    await server.close();
    await opened.connection.close();
  });
});
