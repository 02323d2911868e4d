import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Grants, type BusDescription } from '@jogakbo/messaging/grants';
import { readGrants } from '@jogakbo/messaging/grants-stream';
import { assertService, defaultLadder, exchanges, grantsStream, queues } from '@jogakbo/messaging/topology';
import { connect, type ChannelModel } from 'amqplib';
import { type BackingService } from '../src/backing/backing-service.ts';
import { ensureBrokerLogins, loginLimits, memoryQueueBytes } from '../src/backing/rabbitmq/broker-logins.ts';
import { findManagement, type Management } from '../src/backing/rabbitmq/broker-management.ts';
import { build } from '../src/supervisor/build.ts';
import { claimPorts } from '../src/supervisor/ports.ts';
import { findInstalledBroker, startPrivateBroker } from '../src/backing/rabbitmq/private-broker.ts';
import { password } from '../src/supervisor/state.ts';
import { listApps } from '../src/workspace.ts';
import { announcements } from './announcements.ts';
import { AsLogin, type Verdict } from './as-login.ts';
import { foreignExchanges } from './foreign-exchanges.ts';
import { sharedTopology } from './shared-topology.ts';

const server = findInstalledBroker();
const apps = listApps();
const names = apps.map(({ name }) => name);
const platformEvents = ['instances.announced', 'instances.beat', 'instances.roll-call'];
const gateway = 'gateway';

/** Every service of the store tries everything at a broker that has the permissions of the real deploy step. */
(server ? describe : describe.skip)('what each login may do on the bus', () => {
  const folder = mkdtempSync(join(tmpdir(), 'jogakbo-matrix-'));
  let broker: BackingService;
  let bus: BusDescription[];
  const logins = new Map<string, AsLogin>();
  let addresses: Record<string, string> = {};
  const secrets = {
    brokerLogins: Object.fromEntries(names.map((name) => [name, password()])),
    broker: 'of the operator',
  };

  beforeAll(async () => {
    const say = () => undefined;
    await build(undefined, say, new AbortController().signal);
    bus = apps.map((app) => JSON.parse(readFileSync(join(app.folder, 'dist', 'bus.json'), 'utf8')));
    broker = await startPrivateBroker(server!, {
      ...{ folder: join(folder, 'rabbitmq'), logs: join(folder, 'logs'), throwaway: true },
      ...{ name: `jogakbo-matrix-${randomBytes(4).toString('hex')}`, password: password() },
      ports: await claimPorts(['amqp', 'management', 'distribution', 'epmd']),
    });
    const { urls } = await ensureBrokerLogins(broker, apps, secrets, 'test');
    addresses = urls;
    const model = await connect(broker.url);
    const channel = await model.createChannel();
    for (const name of names) {
      const some = { commands: [`${name}.x`], queries: [`${name}.x`], events: [`${name}.x`] };
      await assertService(channel, name, some, { ladder: defaultLadder, isGiven: false });
    }
    await model.close();
    for (const name of names) logins.set(name, await AsLogin.open(urls[name]!));
  }, 240_000);
  afterAll(async () => {
    await Promise.all([...logins.values()].map((login) => login.close()));
    await broker?.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  it("has a secret for Erlang's distribution that cannot be guessed, and that its user alone can read", () => {
    const cookie = join(folder, 'rabbitmq', '.erlang.cookie');
    expect(readFileSync(cookie, 'utf8')).toMatch(/^[\w-]{43}$/);
    expect(statSync(cookie)).toMatchObject({ mode: 0o100400, uid: process.getuid!() });
  });

  it('opens so many connections and channels, and no more: the memory of the broker is for all', async () => {
    const [name] = names as [string];
    const models: ChannelModel[] = [];
    const open = async () => {
      const model = await connect(addresses[name]!);
      model.on('error', () => undefined);
      models.push(model);
      return model;
    };
    const refused = (async () => {
      for (let more = 0; more <= loginLimits['max-connections']; more++) await open();
    })();
    await expect(refused).rejects.toThrow(/ConnectionClose/);
    expect(models.length).toBeGreaterThan(8);
    const lost = new Promise<Error>((resolve) => models[0]!.on('error', resolve));
    for (let more = 0; more <= loginLimits['max-channels']; more++)
      models[0]!.createChannel().then(
        (channel) => channel.on('error', () => undefined),
        () => undefined,
      );
    expect((await lost).message).toMatch(/NOT.ALLOWED|limit/);
    await Promise.all(models.map((model) => model.close().catch(() => undefined)));
  });

  it('keeps so much in a queue that is not read, and takes no message beyond the limit', async () => {
    const model = await connect(broker.url);
    const channel = await model.createConfirmChannel();
    const { queue } = await channel.assertQueue(queues.hearing(names[0]!, 'unread'), { exclusive: true });
    const body = Buffer.alloc(1_048_576);
    const most = memoryQueueBytes / body.length;
    for (let sent = 0; sent < most + 4; sent++) channel.sendToQueue(queue, body);
    await channel.waitForConfirms();
    expect((await channel.checkQueue(queue)).messageCount).toBe(most);
    const refused = new Promise<Error>((resolve) => channel.on('error', resolve));
    channel.sendToQueue(queue, Buffer.alloc(17 * body.length));
    expect((await refused).message).toMatch(/larger than/);
    await model.close();
  });

  const of = (service: string) => bus.find((one) => one.service === service)!;
  const requests = () =>
    bus.flatMap(({ service, contracts }) =>
      contracts.filter(({ kind }) => kind !== 'event').map((one) => ({ ...one, owner: service })),
    );
  const events = () => [
    ...bus.flatMap(({ service, contracts }) =>
      contracts.filter(({ kind }) => kind === 'event').map(({ name }) => ({ name, owner: service })),
    ),
    ...[...platformEvents, 'settings.told'].map((name) => ({ name, owner: 'platform' })),
  ];
  const asked = () => requests().flatMap(({ offered }) => offered?.asks ?? []);
  const waitedFor = () => requests().flatMap(({ offered }) => offered?.hears ?? []);
  const mayCall = (service: string, { name, owner, offered }: ReturnType<typeof requests>[number]) =>
    owner === service ||
    of(service).calls.includes(name) ||
    (service === gateway && (offered !== undefined || asked().includes(name)));
  const mayHear = (service: string, name: string, owner: string) =>
    owner === service ||
    platformEvents.includes(name) ||
    of(service).hears.includes(name) ||
    (service === gateway && waitedFor().includes(name));

  const counted = { allowed: 0, refused: 0 };
  /** A matrix in which nothing was tried, or nothing allowed, would prove nothing. */
  afterAll(() => expect(Math.min(counted.allowed, counted.refused)).toBeGreaterThan(300));

  /** What one login did, that it may not do or should be able to. */
  function trying(service: string) {
    const login = logins.get(service)!;
    const wrong: string[] = [];
    const attempt = async (what: string, mayIt: boolean, doing: Promise<Verdict>): Promise<void> => {
      const verdict = await doing;
      counted[verdict] += 1;
      if ((verdict === 'allowed') !== mayIt) wrong.push(`${service} ${what}: ${verdict}`);
    };
    return { login, wrong, attempt };
  }

  it.each(names)('%s sends and announces what it declares, as itself', async (service) => {
    const { login, wrong, attempt } = trying(service);
    for (const one of requests())
      await attempt(
        `sends ${one.name}`,
        mayCall(service, one),
        login.publish(exchanges.requests(one.name), one.name),
      );
    for (const { name, owner } of events()) {
      const mayIt = owner === service || platformEvents.includes(name) || of(service).tells.includes(name);
      await attempt(`announces ${name}`, mayIt, login.publish(exchanges.events(name), name));
    }
    for (const other of [...names, 'jogakbo'])
      await attempt(
        `speaks as ${other}`,
        other === service,
        login.publish(exchanges.events(platformEvents[0]!), platformEvents[0]!, other),
      );
    expect(wrong).toEqual([]);
  });

  it.each(names)('%s answers those who may ask it, and nobody else', async (service) => {
    const { login, wrong, attempt } = trying(service);
    for (const other of names) {
      const isAsked = requests().some((one) => one.owner === service && mayCall(other, one));
      const key = queues.reply(other, '0190-a');
      await attempt(
        `answers ${other}`,
        other === service || isAsked,
        login.publish(exchanges.replies(other), key),
      );
    }
    expect(wrong).toEqual([]);
  });

  it.each(names)('%s binds what it takes and hears', async (service) => {
    const { login, wrong, attempt } = trying(service);
    const queue = queues.hearing(service, '0190-b');
    await login.try((channel) => channel.assertQueue(queue, { exclusive: true, autoDelete: true }));
    const binds = (exchange: string, key: string, mayIt: boolean) =>
      attempt(
        `binds ${key} of ${exchange}`,
        mayIt,
        login.try((channel) => channel.bindQueue(queue, exchange, key)),
      );
    for (const { name, owner } of requests()) await binds(exchanges.requests(name), name, owner === service);
    for (const { name, owner } of events())
      await binds(exchanges.events(name), name, mayHear(service, name, owner));
    for (const exchange of Object.values(exchanges))
      for (const key of ['#', '*.*', '#.#', `${service}.#`, 'orders.*'])
        await binds(exchange(service), key, false);
    for (const other of names) {
      const isOwn = other === service;
      await binds(exchanges.replies(other), queues.reply(other, '0190-c'), isOwn);
      await binds(exchanges.dead(other), queues.commands(other), isOwn);
      await binds(exchanges.retry(other), `500.${other}.commands`, false);
      await attempt(
        `binds to the queue of ${other}`,
        isOwn,
        login.try((channel) =>
          channel.bindQueue(queues.events(other), exchanges.events(platformEvents[0]!), platformEvents[0]!),
        ),
      );
    }
    expect(wrong).toEqual([]);
  });

  it.each(names)('%s takes from its own queues alone, and never out of the dead letters', async (service) => {
    const { login, wrong, attempt } = trying(service);
    for (const other of names) {
      for (const kind of ['commands', 'queries', 'events', 'dead'] as const) {
        const queue = queues[kind](other);
        const mayIt = other === service && kind !== 'dead';
        const consume = login.try(async (channel) => {
          const { consumerTag } = await channel.consume(queue, () => undefined);
          await channel.cancel(consumerTag);
        });
        await attempt(`consumes ${queue}`, mayIt, consume);
        await attempt(
          `gets from ${queue}`,
          mayIt,
          login.try((channel) => channel.get(queue, { noAck: true })),
        );
        await attempt(
          `empties ${queue}`,
          mayIt,
          login.try((channel) => channel.purgeQueue(queue)),
        );
      }
    }
    expect(wrong).toEqual([]);
  });

  it.each(names)('%s makes and deletes its own queues alone, and no exchange', async (service) => {
    const { login, wrong, attempt } = trying(service);
    const makes = (queue: string, mayIt: boolean) =>
      attempt(
        `makes ${queue}`,
        mayIt,
        login.try((channel) => channel.assertQueue(queue)),
      );
    const deletes = (queue: string, mayIt: boolean) =>
      attempt(
        `deletes ${queue}`,
        mayIt,
        login.try((channel) => channel.deleteQueue(queue)),
      );
    for (const other of names) {
      const ofVersion = `${queues.queries(other)}@9.9.9`;
      await makes(ofVersion, other === service);
      await deletes(ofVersion, other === service);
      if (other !== service) await deletes(queues.events(other), false);
      await makes(queues.retry(other, 500), false);
      await deletes(queues.retry(other, 500), false);
    }
    await makes('anything', false);
    for (const exchange of Object.values(exchanges).map((one) => one(service))) {
      await attempt(
        `makes ${exchange}`,
        false,
        login.try((channel) => channel.assertExchange(exchange, 'topic')),
      );
      await attempt(
        `deletes ${exchange}`,
        false,
        login.try((channel) => channel.deleteExchange(exchange)),
      );
    }
    expect(wrong).toEqual([]);
  });

  it.each(names)('%s puts away for itself alone, and goes round no exchange', async (service) => {
    const { login, wrong, attempt } = trying(service);
    const publishes = (exchange: string, key: string, mayIt: boolean) =>
      attempt(`publishes ${key} into "${exchange}"`, mayIt, login.publish(exchange, key));
    for (const other of names) {
      const isOwn = other === service;
      await publishes(exchanges.retry(other), `500.${other}.commands`, isOwn);
      await publishes(exchanges.retry(other), `500.${other}.events`, isOwn);
      await publishes(exchanges.dead(other), queues.dead(other), isOwn);
      await publishes(exchanges.dead(other), queues.commands(other), false);
      for (const around of ['', 'amq.direct', 'amq.topic', 'amq.fanout'])
        await publishes(around, queues.commands(other), false);
    }
    expect(wrong).toEqual([]);
  });

  it.each(names)('%s reads what is registered, and registers nothing', async (service) => {
    const { login, wrong, attempt } = trying(service);
    const consume = login.try(async (channel) => {
      await channel.prefetch(1);
      const options = { arguments: { 'x-stream-offset': 'last' } };
      const { consumerTag } = await channel.consume(grantsStream, () => undefined, options);
      await channel.cancel(consumerTag);
    });
    await attempt('reads what is registered', true, consume);
    await attempt('registers', false, login.publish('', grantsStream));
    await attempt('registers as the operator', false, login.publish('', grantsStream, 'jogakbo'));
    for (const [what, doing] of [
      [
        'binds to it',
        (channel) =>
          channel.bindQueue(grantsStream, exchanges.events(platformEvents[0]!), platformEvents[0]!),
      ],
      ['deletes it', (channel) => channel.deleteQueue(grantsStream)],
      ['declares it', (channel) => channel.assertQueue(grantsStream)],
    ] as [string, Parameters<AsLogin['try']>[0]][])
      await attempt(what, false, login.try(doing));
    // Emptying needs no more than reading: of a stream nothing is taken out, and who tries loses the connection.
    const model = await connect(addresses[service]!);
    const lost = new Promise<Error>((resolve) => model.on('error', resolve));
    const channel = await model.createChannel();
    channel.on('error', () => undefined);
    channel.purgeQueue(grantsStream).catch(() => undefined);
    expect((await lost).message).toMatch(/NOT.IMPLEMENTED/);
    expect(wrong).toEqual([]);
  });

  it('registers at the deploy step what consumers look at: the same as the broker lets pass', async () => {
    const model = await connect(broker.url);
    const grants = new Grants(await readGrants(await model.createChannel(), 'jogakbo'));
    await model.close();
    const wrong: string[] = [];
    for (const service of [...names, 'nobody']) {
      for (const one of requests()) {
        if (one.owner === service) continue;
        const mayIt = names.includes(service) && mayCall(service, one);
        if (grants.mayCall(service, one.name) !== mayIt) wrong.push(`${service} calls ${one.name}`);
      }
      if (grants.isGateway(service) !== (service === gateway)) wrong.push(`${service} is a gateway`);
      if (grants.isService(service) !== names.includes(service)) wrong.push(`${service} is a service`);
    }
    expect(wrong).toEqual([]);
    expect(grants.routes.size).toBeGreaterThan(30);
    const claimed = requests().flatMap(({ owner, name, offered }) =>
      (offered?.routes ?? []).map((route) => [route, owner, name]),
    );
    expect(
      [...grants.routes].map(([route, { service, request }]) => [route, service, request]).sort(),
    ).toEqual(claimed.sort());
  });

  foreignExchanges({
    ...{ names, bus: () => bus, operatorUrl: () => broker.url },
    login: (name) => logins.get(name)!,
  });

  sharedTopology({ apps, secrets, broker: () => broker });

  announcements({ names, url: (name) => addresses[name]!, login: (name) => logins.get(name)! });

  it('takes a login that is no service for none, with all permissions or with nothing', async () => {
    const management = (await findManagement(broker, '')) as Management;
    const { vhost } = management;
    for (const all of ['^$', '.*']) {
      const name = `foreign${all.length}`;
      const users = [{ name, password: 'of a foreigner', tags: '' }];
      const permissions = [{ user: name, vhost, configure: all, write: all, read: all }];
      await management.define({ users, permissions });
      const url = Object.assign(new URL(broker.url), { username: name, password: 'of a foreigner' }).href;
      const login = await AsLogin.open(url);
      for (const other of [...names, 'jogakbo'])
        expect(await login.publish(exchanges.events(platformEvents[0]!), platformEvents[0]!, other)).toBe(
          'refused',
        );
      for (const exchange of [...Object.values(exchanges).map((one) => one('orders')), '', 'amq.topic'])
        expect(await login.publish(exchange, 'anything')).toBe(all === '.*' ? 'allowed' : 'refused');
      await login.close();
    }
  });

  describe('a broker that is not ours', () => {
    const given = (managementUrl = broker.managementUrl) => ({
      kind: 'given',
      url: broker.url,
      managementUrl,
    });

    it('gives all one login, and says so, where its management API is out of reach', async () => {
      const { urls, operator, remark } = await ensureBrokerLogins(
        given('http://127.0.0.1:1'),
        apps,
        secrets,
        'test',
      );
      expect(new Set(Object.values(urls))).toEqual(new Set([broker.url]));
      expect(operator).toBeUndefined();
      expect(remark).toMatch(/^All services share .* RABBITMQ_MANAGEMENT_URL names another address\.$/);
      expect(remark).not.toContain(new URL(broker.url).password);
    });

    it('keeps the logins of others as they are', async () => {
      const { operator, remark } = await ensureBrokerLogins(given(), apps, secrets, 'another store');
      expect(operator).toBeUndefined();
      expect(remark).toContain('not of this store');
      expect(
        await logins.get('orders')!.publish(exchanges.events(platformEvents[0]!), platformEvents[0]!),
      ).toBe('allowed');
    });

    it('is prepared like one of ours where it can be', async () => {
      const { urls, operator } = await ensureBrokerLogins(given(), apps, secrets, 'test');
      expect(operator).toBe(decodeURIComponent(new URL(broker.url).username));
      const orders = await AsLogin.open(urls.orders!);
      expect(await orders.publish(exchanges.events('catalog'), 'catalog.product-added')).toBe('refused');
      await orders.close();
    });
  });
});
