import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { queues } from '@jogakbo/messaging/topology';
import { connect, type ChannelModel, type ConfirmChannel, type GetMessage } from 'amqplib';
import { type BackingService } from '@jogakbo/cli/src/backing/backing-service.ts';
import { runDeployStep } from '@jogakbo/cli/src/backing/rabbitmq/deploy-step.ts';
import { findManagement, type Management } from '@jogakbo/cli/src/backing/rabbitmq/broker-management.ts';
import { administratorLogin } from '@jogakbo/cli/src/backing/backing-service.ts';
import { type Secrets } from '@jogakbo/cli/src/supervisor/state.ts';
import { type App } from '@jogakbo/cli/src/workspace.ts';
import { until } from '../../src/jogakbo.ts';

interface Suite {
  apps: App[];
  secrets: Pick<Secrets, 'brokerPasswords' | 'brokerAdministrator'>;
  broker: () => BackingService;
}

/** A separate virtual host. */
const vhost = 'version-before';
const quorum = { 'x-queue-type': 'quorum', 'x-dead-letter-exchange': 'dead' };
const atLeastOnce = { 'x-dead-letter-strategy': 'at-least-once', 'x-overflow': 'reject-publish' };

/** A broker with messages of the previous version, in which services shared exchanges and retry queues. */
export const sharedTopology = ({ apps, secrets, broker }: Suite) =>
  describe('a broker of the previous version', () => {
    let given: Pick<BackingService, 'kind' | 'url' | 'managementUrl'>;
    let model: ChannelModel;
    let channel: ConfirmChannel;

    beforeAll(async () => {
      const { url, managementUrl } = broker();
      const management = (await findManagement(broker(), '')).management!;
      await management.define({
        vhosts: [{ name: vhost }],
        permissions: [{ user: administratorLogin, vhost, configure: '.*', write: '.*', read: '.*' }],
      });
      given = { kind: 'process', managementUrl, url: Object.assign(new URL(url), { pathname: vhost }).href };
      model = await connect(given.url);
      channel = await model.createConfirmChannel();
      for (const name of ['commands', 'events', 'replies', 'retry', 'dead'])
        await channel.assertExchange(name, 'topic');
      const dead = { ...quorum, ...atLeastOnce, 'x-dead-letter-routing-key': 'orders.dead' };
      await channel.assertQueue('orders.dead', { arguments: { 'x-queue-type': 'quorum' } });
      await channel.bindQueue('orders.dead', 'dead', 'orders.dead');
      for (const [queue, exchange, key] of [
        ['orders.commands', 'commands', 'orders.place-order'],
        ['orders.events', 'events', 'payments.payment-authorized'],
      ] as const) {
        await channel.assertQueue(queue, { arguments: { ...dead, 'x-delivery-limit': 20 } });
        await channel.bindQueue(queue, exchange, key);
        for (const back of [queue, `*.${queue}`]) await channel.bindQueue(queue, 'dead', back);
      }
      for (const delay of [500, 300_000]) {
        const ttl = { ...quorum, ...atLeastOnce, 'x-message-ttl': delay };
        await channel.assertQueue(`retry.${delay}ms`, { arguments: ttl });
        await channel.bindQueue(`retry.${delay}ms`, 'retry', `${delay}.#`);
      }
      await ensureUsers(management);
      await sendAs('gateway', 'commands', 'orders.place-order', 'placed', { caller: '{}' });
      await sendAs('payments', 'events', 'payments.payment-authorized', 'authorized');
      await sendAs('orders', 'retry', '300000.orders.commands', 'waiting', { sender: 'gateway', mark: 'm' });
      await sendAs('search', 'retry', '300000.orders.commands', 'forged', { sender: 'gateway', mark: 'm' });
      await sendAs(administratorLogin, 'retry', '300000.vanished.commands', 'unknown');
      await sendAs('orders', 'retry', '500.orders.events', 'expiring', { sender: 'payments', mark: 'm' });
      await sendAs('orders', 'dead', 'orders.dead', 'dead');
    });
    afterAll(() => model?.close());

    function ensureUsers(management: Management): Promise<void> {
      const users = ['gateway', 'payments', 'orders', 'search'];
      return management.define({
        users: users.map((name) => ({ name, password: secrets.brokerPasswords[name]!, tags: '' })),
        permissions: users.map((user) => ({ user, vhost, configure: '.*', write: '.*', read: '.*' })),
      });
    }

    async function sendAs(
      userId: string,
      exchange: string,
      key: string,
      messageId: string,
      headers = {},
    ): Promise<void> {
      const url = new URL(given.url);
      if (userId !== administratorLogin)
        Object.assign(url, { username: userId, password: secrets.brokerPasswords[userId]! });
      const sender = await connect(url.href);
      const own = await sender.createConfirmChannel();
      own.publish(exchange, key, Buffer.from(messageId), { userId, messageId, headers, persistent: true });
      await own.waitForConfirms();
      await sender.close();
    }

    async function takeAll(queue: string) {
      const messages: GetMessage[] = [];
      for (let one; (one = await channel.get(queue, { noAck: true }));) messages.push(one);
      return Object.fromEntries(
        messages.map(({ content, properties: { userId, headers } }) => [
          content.toString(),
          [userId, headers!['sender'], headers!['mark'] !== undefined],
        ]),
      );
    }

    it('is not migrated while a service of that version runs, and keeps all messages', async () => {
      const old = await connect(given.url);
      const consuming = await old.createChannel();
      await consuming.consume('orders.events', () => undefined);
      await expect(runDeployStep(given, apps, secrets, 'test')).rejects.toThrow(
        'Services of an earlier version still run on this broker.',
      );
      await old.close();
      expect((await channel.checkQueue('orders.commands')).messageCount).toBe(1);
    }, 40_000);

    it('is migrated: its messages are in the new queues, with their senders', async () => {
      const { remark } = await runDeployStep(given, apps, secrets, 'test');
      expect(remark).toContain('retry.300000ms stay: they hold messages of services that are not known.');
      expect(await takeAll('orders.commands')).toEqual({
        placed: [administratorLogin, 'gateway', false],
        waiting: [administratorLogin, 'gateway', true],
        // The mark belongs to another login.
        forged: [administratorLogin, 'search', false],
      });
      await until(async () => (await channel.checkQueue('orders.events')).messageCount === 2);
      expect(await takeAll('orders.events')).toEqual({
        authorized: [administratorLogin, 'payments', false],
        expiring: [administratorLogin, 'payments', true],
      });
      expect(await takeAll('orders.dead')).toEqual({ dead: ['orders', undefined, false] });
      expect((await channel.checkQueue('retry.300000ms')).messageCount).toBe(1);
    }, 40_000);

    it('loses the shared exchanges and queues once they are empty', async () => {
      await channel.purgeQueue('retry.300000ms');
      const management = (await findManagement(given, '')).management!;
      await until(async () => (await management.queue('retry.300000ms')).messages === 0);
      const { remark } = await runDeployStep(given, apps, secrets, 'test');
      expect(remark).not.toContain('stay');
      const names = (await management.queues()).map(({ name }) => name);
      expect(names.filter((name) => /^(retry\.\d+ms|takeover\.)/.test(name))).toEqual([]);
      expect(names).toContain(queues.retry('orders', 500));
      for (const name of ['commands', 'events', 'replies', 'retry', 'dead']) {
        const checking = await model.createChannel();
        checking.on('error', () => undefined);
        await expect(checking.checkExchange(name)).rejects.toThrow('NOT_FOUND');
      }
    }, 40_000);
  });
