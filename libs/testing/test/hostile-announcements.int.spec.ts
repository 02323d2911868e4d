import { randomBytes, randomUUID } from 'node:crypto';
import { describe as toDescription, sensitive, service } from '@jogakbo/contract';
import {
  Ask,
  BrokerConnection,
  DecryptionKeys,
  exchanges,
  Instances,
  Jwe,
  Publisher,
  queues,
  ServiceKey,
} from '@jogakbo/messaging';
import { declareTopology } from '@jogakbo/messaging/declare-topology';
import { assertGrantsStream, publishGrants } from '@jogakbo/messaging/grants-stream';
import { assertService, instanceEvents } from '@jogakbo/messaging/topology';
import { Service, start, type RunningService } from '@jogakbo/service';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect, type ChannelModel, type ConfirmChannel } from 'amqplib';
import { z } from 'zod';
import { eventually, privateBroker, type PrivateBroker } from '../src/index.ts';

// A login is known to the whole broker: another run of this suite must not take it away.
const unique = randomBytes(4).toString('hex').replace(/\d/g, 'x');
const [shopName, bankName, bossName] = ['shop', 'bank', 'boss'].map((name) => `${name}${unique}`) as [
  string,
  string,
  string,
];
const bank = service(bankName);
const Pay = bank.command('pay', { input: z.strictObject({ card: sensitive(z.string()) }) });

@Service({ contract: service(shopName), calls: [Pay], handlers: [] })
class ShopModule {}

describe('an announcement of one who has nothing but the login of a service', () => {
  const bankKeys = new DecryptionKeys(ServiceKey.random());
  const thiefKeys = new DecryptionKeys(ServiceKey.random());
  let broker: PrivateBroker;
  let shop: RunningService;
  const models: ChannelModel[] = [];
  let bossUrl: string;
  let boss: ConfirmChannel;
  let thief: ConfirmChannel;

  const open = async (url: string): Promise<ConfirmChannel> => {
    const model = await connect(url);
    models.push(model);
    return model.createConfirmChannel();
  };

  beforeAll(async () => {
    broker = await privateBroker();
    const [shopUrl, bankUrl, operatorUrl] = await Promise.all(
      [shopName, bankName, bossName].map((name) => broker.login(name)),
    );
    bossUrl = operatorUrl!;
    [boss, thief] = await Promise.all([open(bossUrl), open(bankUrl!)]);
    // As the deploy step does.
    const ladder = [50, 100];
    await assertGrantsStream(boss);
    const registered = [
      { service: shopName, contracts: [], calls: [Pay.name], hears: [], tells: [], isGateway: false },
      {
        ...{ service: bankName, calls: [], hears: [], tells: [], isGateway: false },
        contracts: [{ name: Pay.name, kind: 'command' as const, sensitive: true }],
        encryptionKeys: [...bankKeys.publicKeys],
      },
    ];
    await declareTopology(boss, registered, bossName, ladder);
    const taken = { commands: [Pay.name], queries: [], events: [] };
    await assertService(boss, bankName, taken, { ladder, isGiven: true });
    await publishGrants(boss, registered, bossName);
    shop = await start(ShopModule, {
      environment: {
        ...{ LOG_LEVEL: 'error', RETRY_LADDER: ladder.join(), BROKER_OPERATOR: bossName },
        ...{ RABBITMQ_URL: shopUrl, SERVICE_KEY: randomBytes(32).toString('base64url') },
      },
    });
  });
  afterAll(async () => {
    await shop?.stop();
    await Promise.all(models.map((model) => model.close()));
    await broker.drop();
  });

  async function announce(more: object): Promise<void> {
    const data = {
      ...{ service: bankName, version: '1', instance: `${bankName}-thief`, state: 'up' },
      ...{ url: 'http://127.0.0.1:9', startedAt: '2099-01-01T00:00:00Z', interval: 60 },
      contract: toDescription(bank),
      ...more,
    };
    const content = Buffer.from(JSON.stringify({ pattern: instanceEvents.announced, data }));
    const options = { messageId: randomUUID(), userId: bankName };
    thief.publish(exchanges.events('instances'), instanceEvents.announced, content, options);
    await thief.waitForConfirms();
  }

  it('does not make its sender the one who can decrypt what is sent to that service', async () => {
    const [{ kid }] = bankKeys.publicKeys;
    const [stolen] = thiefKeys.publicKeys;
    for (const encryptionKeys of [[stolen], [{ ...stolen, kid }], []]) {
      await announce({ encryptionKeys });
      const asking = shop.app.get<Ask>(Ask)(Pay, { card: '4111' }, { timeout: 500 });
      asking.catch(() => {});
      const message = await eventually(
        async () => (await thief.get(queues.commands(bankName), { noAck: true })) || undefined,
      );
      const { data } = JSON.parse(message.content.toString()) as { data: string };
      expect(message.content.toString()).not.toContain('4111');
      await expect(thiefKeys.decrypt(new Jwe(data), Pay.name)).rejects.toThrow();
      await expect(bankKeys.decrypt(new Jwe(data), Pay.name)).resolves.toEqual({ card: '4111' });
    }
  });

  it('is read up to a size, and names so many instances', async () => {
    const connection = await new BrokerConnection({ operator: bossName }).open(bossUrl, 'listens');
    let refused = 0;
    connection.onStranger(() => (refused += 1));
    const publisher = new Publisher(connection);
    await publisher.open();
    const instances = new Instances(connection, publisher, 'test');
    await instances.open();
    const own = () => instances.present.filter(({ service }) => service === bankName);
    const large = { ...toDescription(bank), description: 'x'.repeat(300_000) };
    await announce({ instance: `${bankName}-large`, contract: large });
    for (let at = 0; at < 120; at++) await announce({ instance: `${bankName}-${at}`, interval: 60 });
    await announce({ instance: `${bankName}-0`, state: 'draining' });
    await announce({ instance: `${bankName}-last`, startedAt: '2099-01-01T00:00:00Z', interval: 1e9 });
    await announce({ instance: `${bankName}-last`, startedAt: '2099-01-01T00:00:00Z' });
    await eventually(() => own().some(({ instance }) => instance === `${bankName}-last`) || undefined);
    expect(own()).toHaveLength(100);
    expect(own().map(({ instance }) => instance)).not.toContain(`${bankName}-large`);
    expect(own().every(({ startedAt }) => Date.parse(startedAt) <= Date.now())).toBe(true);
    expect(refused).toBe(21);
    await instances.close();
    await connection.close();
  });
});
