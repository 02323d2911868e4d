import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { withOffers, type BusDescription } from '@jogakbo/messaging/grants';
import { exchanges, instanceEvents, getOwner, queues, retryKey } from '@jogakbo/messaging/topology';
import { connect, type Channel, type ChannelModel, type Options } from 'amqplib';
import { type AsLogin } from './as-login.ts';
import { until } from './jogakbo.ts';

interface Suite {
  names: string[];
  bus: () => BusDescription[];
  operatorUrl: () => string;
  login: (name: string) => AsLogin;
}

const families = Object.keys(exchanges) as (keyof typeof exchanges)[];
const platformEvents = Object.values(instanceEvents);

/** Each login tries each way into each exchange that it may not write to, at a broker as the deploy step leaves it. */
export const foreignExchanges = ({ names, bus, operatorUrl, login }: Suite) =>
  describe('an exchange of another receiver', () => {
    let model: ChannelModel;
    let operator: Channel;
    const all = () => bus().map((one) => withOffers(one, bus()));
    const of = (service: string) => all().find((one) => one.service === service)!;
    const named = (service: string, ...kinds: string[]) =>
      of(service)
        .contracts.filter(({ kind }) => kinds.includes(kind))
        .map(({ name }) => name);

    beforeAll(async () => {
      model = await connect(operatorUrl());
      operator = await model.createChannel();
      // As the services do it when they start.
      for (const name of names) {
        const ways = [
          ...named(name, 'command').map((key) => [queues.commands(name), exchanges.requests(name), key]),
          ...named(name, 'query').map((key) => [queues.queries(name), exchanges.requests(name), key]),
          ...of(name).hears.map((key) => [queues.events(name), exchanges.events(key), key]),
        ] as [string, string, string][];
        for (const [queue, exchange, key] of ways) await operator.bindQueue(queue, exchange, key);
        // Tests before this one bound it there, as its owner may.
        const { announced } = instanceEvents;
        await operator.unbindQueue(queues.events(name), exchanges.events(announced), announced);
        for (const queue of listQueues(name)) await operator.purgeQueue(queue);
      }
    });
    afterAll(() => model?.close());

    const listQueues = (name: string) => [
      ...[queues.commands(name), queues.queries(name), queues.events(name), queues.dead(name)],
    ];
    /** What a login declares, and so may write to. */
    function writable(service: string): Set<string> {
      const { calls, tells } = of(service);
      const requests = named(service, 'command', 'query');
      const callers = names.filter((name) => of(name).calls.some((one) => requests.includes(one)));
      return new Set([
        ...[...calls, ...requests].map(exchanges.requests),
        ...[...named(service, 'event'), ...tells, ...platformEvents].map(exchanges.events),
        ...[service, 'jogakbo', ...callers].map(exchanges.replies),
        ...[exchanges.retry(service), exchanges.dead(service)],
      ]);
    }
    const everyExchange = () => [
      ...families.flatMap((family) => [...names, 'jogakbo'].map((name) => exchanges[family](name))),
      ...['instances', 'settings'].map(exchanges.events),
    ];

    it.each(names)('is closed to %s on each way', async (service) => {
      const attacker = login(service);
      const may = writable(service);
      const source = `hearing.${service}.source`;
      const passing = { autoDelete: true, durable: false };
      const wrong: string[] = [];
      let count = 0;
      for (const exchange of everyExchange()) {
        const isThere = !exchange.endsWith('.jogakbo') || exchange === exchanges.replies('jogakbo');
        if (!isThere) continue;
        const name = `hearing.${service}.${(count += 1)}`;
        const ways: Record<string, (channel: Channel) => Promise<unknown>> = {
          'a binding of its own exchange': async (channel) => {
            await channel.assertExchange(source, 'topic', { durable: false });
            await channel.bindExchange(exchange, source, '#');
          },
          'the dead-letter exchange of its own queue': (channel) =>
            channel.assertQueue(`${name}-a`, { exclusive: true, deadLetterExchange: exchange }),
          'the alternate exchange of its own exchange': async (channel) => {
            await channel.assertExchange(`${name}-b`, 'topic', { ...passing, alternateExchange: exchange });
            await channel.deleteExchange(`${name}-b`);
          },
        };
        for (const [way, attempt] of Object.entries(ways)) {
          const verdict = await attacker.try(attempt);
          if ((verdict === 'allowed') !== may.has(exchange)) wrong.push(`${way}: ${exchange} ${verdict}`);
        }
        if (!may.has(exchange) && (await attacker.publish(exchange, service)) !== 'refused')
          wrong.push(`publishing: ${exchange}`);
      }
      await operator.deleteExchange(source);
      expect(wrong).toEqual([]);
      expect(count).toBe(names.length * families.length + 3);
    });

    it.each(names)('is not reached by copies of what %s publishes', async (service) => {
      const may = writable(service);
      const keys = names.flatMap((name) => [
        ...named(name, 'command', 'query', 'event'),
        ...listQueues(name),
        ...['commands', 'events'].map((kind) => retryKey(500, `${name}.${kind}`)),
        ...listQueues(name).map((queue) => `0.${queue}`),
      ]);
      const own = names.map((name) => queues.reply(name, '0190-a'));
      const ways: [string, string][] = [
        ...[...of(service).calls, ...named(service, 'command', 'query')].map((key): [string, string] => [
          exchanges.requests(key),
          key,
        ]),
        ...[...named(service, 'event'), ...of(service).tells, ...platformEvents].map(
          (key): [string, string] => [exchanges.events(key), key],
        ),
        ...own
          .filter((key) => may.has(exchanges.replies(key.split('.')[1]!)))
          .map((key): [string, string] => [exchanges.replies(key.split('.')[1]!), key]),
        [exchanges.retry(service), retryKey(500, queues.commands(service))],
        [exchanges.dead(service), queues.dead(service)],
      ];
      for (const [exchange, key] of ways) {
        for (const header of ['CC', 'BCC']) {
          const verdict = await login(service).try(async (channel) => {
            channel.publish(exchange, key, Buffer.from(service), { [header]: keys } as Options.Publish);
            await (channel as unknown as { waitForConfirms(): Promise<void> }).waitForConfirms();
          });
          expect([exchange, key, verdict]).toEqual([exchange, key, 'allowed']);
        }
      }
      // What waits for its next attempt arrives later.
      await until(async () => (await operator.checkQueue(queues.retry(service, 500))).messageCount === 0);
      const reached: string[] = [];
      for (const name of names)
        for (const queue of listQueues(name))
          for (let one; (one = await operator.get(queue, { noAck: true }));)
            if (!mayReach(one.content.toString(), name, queue)) reached.push(`${queue} by ${one.content}`);
      expect(reached).toEqual([]);
    });

    function mayReach(sender: string, name: string, queue: string): boolean {
      const may = writable(sender);
      if (name === sender) return true;
      if (queue === queues.events(name))
        return of(name).hears.some((event) => may.has(exchanges.events(event)));
      return queue !== queues.dead(name) && may.has(exchanges.requests(name));
    }

    it('takes no part in a retry queue that its owner has filled with what nothing takes', async () => {
      const publishes = (name: string, key: string, messages: number) =>
        login(name).try(async (channel) => {
          for (let n = 0; n < messages; n++)
            channel.publish(exchanges.retry(name), key, Buffer.from('{}'), {
              userId: name,
              persistent: true,
            });
          await channel.waitForConfirms();
        });
      await operator.purgeQueue(queues.commands('orders'));
      expect(await publishes('search', retryKey(500, `${queues.commands('search')}@gone`), 80)).toBe(
        'allowed',
      );
      expect(await publishes('orders', retryKey(500, queues.commands('orders')), 3)).toBe('allowed');
      await until(async () => (await operator.checkQueue(queues.commands('orders'))).messageCount === 3);
      await operator.purgeQueue(queues.commands('orders'));
    });

    it('is named after an owner that is a service of the store, or the platform', () => {
      const owners = new Set(all().flatMap(({ calls, hears, tells }) => [...calls, ...hears, ...tells]));
      for (const owner of new Set([...owners].map(getOwner)))
        expect([...names, 'instances', 'settings']).toContain(owner);
    });
  });
