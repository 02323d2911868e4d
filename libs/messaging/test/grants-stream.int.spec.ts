import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { assertGrantsStream, publishGrants, readGrants } from '@jogakbo/messaging/grants-stream';
import { createPrivateBroker, type PrivateBroker } from '@jogakbo/testing';
import { connect, type ChannelModel, type ConfirmChannel } from 'amqplib';

describe('reading the grants', () => {
  let broker: PrivateBroker;
  let model: ChannelModel;
  let channel: ConfirmChannel;
  let operator: string;
  beforeEach(async () => {
    broker = await createPrivateBroker();
    operator = decodeURIComponent(new URL(broker.url).username);
    model = await connect(broker.url);
    channel = await model.createConfirmChannel();
    await assertGrantsStream(channel);
  });
  afterEach(async () => {
    await model.close();
    await broker.drop();
  });
  const shop = {
    ...{ service: 'shop', contracts: [], calls: [], subscribesTo: [] },
    publishes: [],
    isGateway: false,
  };

  it('returns none of an empty stream, and the newest of several', async () => {
    expect(await readGrants(channel, operator)).toEqual([]);
    await publishGrants(channel, [], operator);
    await publishGrants(channel, [shop], operator);
    expect(await readGrants(channel, operator)).toMatchObject([{ service: 'shop' }]);
  });

  it('fails if a registration exists but cannot be read: it must not count as none', async () => {
    channel.publish('', 'grants', Buffer.from('{"services":"of a later version"}'), { userId: operator });
    await channel.waitForConfirms();
    await expect(readGrants(channel, operator)).rejects.toThrow('a registration that cannot be read');
    await expect(readGrants(channel, 'another-operator')).rejects.toThrow(
      'a registration that cannot be read',
    );
  });
});
