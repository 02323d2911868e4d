import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { withOffers, type BusDescription } from '@jogakbo/messaging/grants';
import { exchanges, instanceEvents, getServiceName, queues, retryKey } from '@jogakbo/messaging/topology';
import { connect, type Channel, type ChannelModel, type Options } from 'amqplib';
import { type AsLogin } from './as-login.ts';
import { until } from '../../src/jogakbo.ts';

interface Suite {
  names: string[];
  bus: () => BusDescription[];
  operatorUrl: () => string;
  login: (name: string) => AsLogin;
}

const families = Object.keys(exchanges) as (keyof typeof exchanges)[];
const platformEvents = Object.values(instanceEvents);

/** Every login tries every path into exchanges without write permission, at a broker prepared by the deploy step. */
export const foreignExchanges = ({ names, bus, operatorUrl, login }: Suite) =>
  describe('an exchange of another service', () => {
    let model: ChannelModel;
    let operator: Channel;
    const listServices = () => bus().map((one) => withOffers(one, bus()));
    const getDescription = (service: string) => listServices().find((one) => one.service === service)!;
    const listNames = (service: string, ...kinds: string[]) =>
      getDescription(service)
        .contracts.filter(({ kind }) => kinds.includes(kind))
        .map(({ name }) => name);

    beforeAll(async () => {
      model = await connect(operatorUrl());
      operator = await model.createChannel();
      // The same bindings as those of the services.
      for (const name of names) {
        const bindings = [
          ...listNames(name, 'command').map((key) => [queues.commands(name), exchanges.requests(name), key]),
          ...listNames(name, 'query').map((key) => [queues.queries(name), exchanges.requests(name), key]),
          ...getDescription(name).subscribesTo.map((key) => [
            queues.events(name),
            exchanges.events(key),
            key,
          ]),
        ] as [string, string, string][];
        for (const [queue, exchange, key] of bindings) await operator.bindQueue(queue, exchange, key);
        // Removes the bindings of earlier tests.
        const { announced } = instanceEvents;
        await operator.unbindQueue(queues.events(name), exchanges.events(announced), announced);
        for (const queue of listQueues(name)) await operator.purgeQueue(queue);
      }
    });
    afterAll(() => model?.close());

    const listQueues = (name: string) => [
      ...[queues.commands(name), queues.queries(name), queues.events(name), queues.dead(name)],
    ];
    /** Exchanges that a login may write to, according to its declarations. */
    function listWritable(service: string): Set<string> {
      const { calls, publishes } = getDescription(service);
      const requests = listNames(service, 'command', 'query');
      const callers = names.filter((name) =>
        getDescription(name).calls.some((one) => requests.includes(one)),
      );
      return new Set([
        ...[...calls, ...requests].map(exchanges.requests),
        ...[...listNames(service, 'event'), ...publishes, ...platformEvents].map(exchanges.events),
        ...[service, 'jogakbo', ...callers].map(exchanges.replies),
        ...[exchanges.retry(service), exchanges.dead(service)],
      ]);
    }
    const listExchanges = () => [
      ...families.flatMap((family) => [...names, 'jogakbo'].map((name) => exchanges[family](name))),
      ...['instances', 'settings'].map(exchanges.events),
    ];

    it.each(names)('cannot be reached by %s on any path', async (service) => {
      const attacker = login(service);
      const allowed = listWritable(service);
      const source = `hearing.${service}.source`;
      const temporary = { autoDelete: true, durable: false };
      const wrong: string[] = [];
      let count = 0;
      for (const exchange of listExchanges()) {
        const exists = !exchange.endsWith('.jogakbo') || exchange === exchanges.replies('jogakbo');
        if (!exists) continue;
        const name = `hearing.${service}.${(count += 1)}`;
        const paths: Record<string, (channel: Channel) => Promise<unknown>> = {
          'a binding from its own exchange': async (channel) => {
            await channel.assertExchange(source, 'topic', { durable: false });
            await channel.bindExchange(exchange, source, '#');
          },
          'the dead-letter exchange of its own queue': (channel) =>
            channel.assertQueue(`${name}-a`, { exclusive: true, deadLetterExchange: exchange }),
          'the alternate exchange of its own exchange': async (channel) => {
            await channel.assertExchange(`${name}-b`, 'topic', { ...temporary, alternateExchange: exchange });
            await channel.deleteExchange(`${name}-b`);
          },
        };
        for (const [path, attempt] of Object.entries(paths)) {
          const verdict = await attacker.try(attempt);
          if ((verdict === 'allowed') !== allowed.has(exchange))
            wrong.push(`${path}: ${exchange} ${verdict}`);
        }
        if (!allowed.has(exchange) && (await attacker.publish(exchange, service)) !== 'refused')
          wrong.push(`publishing: ${exchange}`);
      }
      await operator.deleteExchange(source);
      expect(wrong).toEqual([]);
      expect(count).toBe(names.length * families.length + 3);
    });

    it.each(names)('is not reached by copies of what %s publishes', async (service) => {
      const allowed = listWritable(service);
      const keys = names.flatMap((name) => [
        ...listNames(name, 'command', 'query', 'event'),
        ...listQueues(name),
        ...['commands', 'events'].map((kind) => retryKey(500, `${name}.${kind}`)),
        ...listQueues(name).map((queue) => `0.${queue}`),
      ]);
      const replyKeys = names.map((name) => queues.reply(name, '0190-a'));
      const routes: [string, string][] = [
        ...[...getDescription(service).calls, ...listNames(service, 'command', 'query')].map(
          (key): [string, string] => [exchanges.requests(key), key],
        ),
        ...[...listNames(service, 'event'), ...getDescription(service).publishes, ...platformEvents].map(
          (key): [string, string] => [exchanges.events(key), key],
        ),
        ...replyKeys
          .filter((key) => allowed.has(exchanges.replies(key.split('.')[1]!)))
          .map((key): [string, string] => [exchanges.replies(key.split('.')[1]!), key]),
        [exchanges.retry(service), retryKey(500, queues.commands(service))],
        [exchanges.dead(service), queues.dead(service)],
      ];
      for (const [exchange, key] of routes) {
        for (const header of ['CC', 'BCC']) {
          const verdict = await login(service).try(async (channel) => {
            channel.publish(exchange, key, Buffer.from(service), { [header]: keys } as Options.Publish);
            await (channel as unknown as { waitForConfirms(): Promise<void> }).waitForConfirms();
          });
          expect([exchange, key, verdict]).toEqual([exchange, key, 'allowed']);
        }
      }
      // Retried messages arrive after their delay.
      await until(async () => (await operator.checkQueue(queues.retry(service, 500))).messageCount === 0);
      const reached: string[] = [];
      for (const name of names)
        for (const queue of listQueues(name))
          for (let one; (one = await operator.get(queue, { noAck: true }));)
            if (!canReach(one.content.toString(), name, queue)) reached.push(`${queue} by ${one.content}`);
      expect(reached).toEqual([]);
    });

    function canReach(sender: string, name: string, queue: string): boolean {
      const allowed = listWritable(sender);
      if (name === sender) return true;
      if (queue === queues.events(name))
        return getDescription(name).subscribesTo.some((event) => allowed.has(exchanges.events(event)));
      return queue !== queues.dead(name) && allowed.has(exchanges.requests(name));
    }

    it('is not affected by another retry queue full of unroutable messages', async () => {
      const publish = (name: string, key: string, messages: number) =>
        login(name).try(async (channel) => {
          for (let n = 0; n < messages; n++)
            channel.publish(exchanges.retry(name), key, Buffer.from('{}'), {
              userId: name,
              persistent: true,
            });
          await channel.waitForConfirms();
        });
      await operator.purgeQueue(queues.commands('orders'));
      expect(await publish('search', retryKey(500, `${queues.commands('search')}@gone`), 80)).toBe('allowed');
      expect(await publish('orders', retryKey(500, queues.commands('orders')), 3)).toBe('allowed');
      await until(async () => (await operator.checkQueue(queues.commands('orders'))).messageCount === 3);
      await operator.purgeQueue(queues.commands('orders'));
    });

    it('is named after an owner that is a service of the store, or the platform', () => {
      const owners = new Set(
        listServices().flatMap(({ calls, subscribesTo, publishes }) => [
          ...calls,
          ...subscribesTo,
          ...publishes,
        ]),
      );
      for (const owner of new Set([...owners].map(getServiceName)))
        expect([...names, 'instances', 'settings']).toContain(owner);
    });
  });
