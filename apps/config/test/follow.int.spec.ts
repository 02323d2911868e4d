import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { describe as describeContract, service } from '@jogakbo/contract';
import { ExplainSettings, GetSettings, masked, RollBack, SettingsAsked } from '@jogakbo/contracts-config';
import { BrokerConnection, exchanges, Listener, queues } from '@jogakbo/messaging';
import { PlatformSettings, ServiceSettings, type RunningService } from '@jogakbo/service';
import { eventually, privateBroker, type PrivateBroker, type ServiceUnderTest } from '@jogakbo/testing';
import { z } from 'zod';
import { email, operator, set, startServer, startToys } from './server.ts';

const Announced = service('instances').event('announced', z.looseObject({}));

/** Everything is live everywhere within this. */
const soon = 1_000;

const running: RunningService[] = [];
let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'jogakbo-config-'));
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((service) => service.stop()));
  rmSync(cache, { recursive: true, force: true });
});

async function toys(server: Pick<ServiceUnderTest, 'broker'>, environment: NodeJS.ProcessEnv = {}) {
  const service = await startToys(server, { CONFIG_CACHE: cache, ...environment });
  running.push(service);
  return service;
}

/** All that the log says from now on; of the services that start from now on, too. */
function listenToLog(): () => string {
  let text = '';
  jest.spyOn(process.stdout, 'write').mockImplementation((line) => {
    text += String(line);
    return true;
  });
  return () => text;
}
afterEach(() => {
  jest.restoreAllMocks();
});

describe('a service that follows the config server', () => {
  let server: ServiceUnderTest;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server.stop());

  const explain = async () => {
    const { instances } = await server.ask(ExplainSettings, { application: 'toys' }, operator);
    return instances.map(({ settings, unknown }) => ({
      unknown,
      ...Object.fromEntries(settings.map(({ key, ...rest }) => [key, rest])),
    }));
  };

  it('starts with what is set: environment before config server before default', async () => {
    await set(server, 'application', { limit: '20', colour: 'blue', port: '1' });
    await set(server, 'toys', { limit: '30' });
    const { settings, app } = await toys(server, { COLOUR: 'red', PORT: '0', TRUSTS: 'kim' });
    expect(settings).toMatchObject({ limit: 30, colour: 'red' });
    expect(app.get(PlatformSettings)).toMatchObject({ port: 0, logLevel: 'error', announceEvery: 2 });
    expect(await explain()).toEqual([
      expect.objectContaining({
        limit: {
          ...{ value: '30', origin: 'config server', live: true },
          from: `version 1 of toys/default by ${email}`,
        },
        colour: { value: 'red', origin: 'environment', live: false },
        announceEvery: { value: '2', origin: 'default', live: false },
        rabbitmqUrl: { value: masked, origin: 'environment', live: false },
        configPassword: { value: masked, origin: 'environment', live: false },
        token: { value: null, origin: 'default', live: true },
        trusts: { value: 'kim', origin: 'environment', live: false },
      }),
    ]);
    await set(server, 'application', { limit: null, colour: null, port: null });
  });

  it('takes whom it trusts, and its addresses, from the environment alone, and reports other values', async () => {
    const written = listenToLog();
    // No instance is there to be asked. Who holds the login of the config server needs not even that.
    await set(server, 'toys', { address: 'https://evil.example', brokerOperator: 'toys', limit: '31' });
    await set(server, 'application', { host: '0.0.0.0' });
    const { settings, app } = await toys(server, { LOG_LEVEL: 'warn' });
    const report = async () => {
      const [{ address, brokerOperator, host }] = (await explain()) as unknown as [
        Record<string, { refused?: string }>,
      ];
      return [address, brokerOperator, host].map((one) => one?.refused?.split(': ')[1]);
    };
    const isInForce = () => [settings.limit, settings.address, app.get(PlatformSettings).host];
    expect(isInForce()).toEqual([31, 'https://toys.example', '127.0.0.1']);
    expect(app.get(PlatformSettings).brokerOperator).toBeUndefined();
    expect(await report()).toEqual(Array(3).fill('comes from the environment only'));
    for (const setting of ['address', 'brokerOperator', 'host'])
      expect(written()).toMatch(
        new RegExp(`"setting":"${setting}".*"problem":"comes from the environment only"`),
      );
    expect(readFileSync(join(cache, 'toys.json'), 'utf8')).not.toContain('evil');
    await set(server, 'toys', { address: null, brokerOperator: null, limit: null });
    await set(server, 'application', { host: null });
    await eventually(async () => (await report()).every((one) => one === undefined) || undefined);
    expect(isInForce()).toEqual([10, 'https://toys.example', '127.0.0.1']);
  });

  it('has a live change in force within a second in every instance, and goes back as fast', async () => {
    const both = [await toys(server, { LOG_LEVEL: '' }), await toys(server, { LOG_LEVEL: '' })];
    const limits = () => both.map(({ settings }) => settings.limit);
    listenToLog();
    for (const limit of [40, 41, 42]) {
      const asked = performance.now();
      const version = await set(server, 'toys', { limit: String(limit) });
      await eventually(() => limits().every((one) => one === limit), soon);
      expect(performance.now() - asked).toBeLessThan(soon);
      if (limit === 42) {
        await server.ask(RollBack, { application: 'toys', to: version - 1, reason: 'too high' }, operator);
        await eventually(() => limits().every((one) => one === 41), soon);
      }
    }
  });

  it('lets the log say more or less at once', async () => {
    const written = listenToLog();
    const { app } = await toys(server, { LOG_LEVEL: '' });
    expect(app.get(PlatformSettings).logLevel).toBe('info');
    await set(server, 'toys', { logLevel: 'warn' });
    await eventually(() => app.get(PlatformSettings).logLevel === 'warn', soon);
    const before = written().length;
    await set(server, 'toys', { limit: '50' });
    await sleep(300);
    expect(written().slice(before)).not.toContain('limit changed');
    await set(server, 'toys', { logLevel: null });
    await eventually(() => app.get(PlatformSettings).logLevel === 'info', soon);
    await set(server, 'toys', { limit: '51' });
    await eventually(() => written().includes('limit changed'), soon);
  });

  it('is asked what is in force, also where it is taken for gone', async () => {
    await toys(server, { ANNOUNCE_EVERY: '60' });
    const [toy] = (await server.ask(ExplainSettings, { application: 'toys' }, operator)).instances;
    await server.announce(
      Announced({
        ...{ service: 'toys', version: '1', instance: toy!.instance, state: 'draining', interval: 60 },
        ...{ url: 'http://127.0.0.1:9', startedAt: new Date().toISOString() },
        contract: describeContract(service('toys')),
      }),
    );
    await sleep(100);
    expect(await explain()).toHaveLength(1);
  });

  it('keeps what cannot change while it runs until a restart, and says so', async () => {
    const written = listenToLog();
    const { settings } = await toys(server, { LOG_LEVEL: '' });
    const version = await set(server, 'toys', { colour: 'blue' });
    await eventually(() => written().includes('colour changed; it takes effect after a restart'), soon);
    expect(settings.colour).toBe('red');
    expect(await explain()).toMatchObject([
      { colour: { value: 'red', afterRestart: `version ${version} of toys/default by ${email}` } },
    ]);
    expect((await toys(server)).settings.colour).toBe('blue');
    await set(server, 'toys', { colour: null });
  });

  it('refuses a wrong value while it runs, and at its start: what was good stays', async () => {
    const written = listenToLog();
    // No instance runs that could be asked.
    const wrong = await set(server, 'toys', { limit: 'many', colours: 'green' });
    await set(server, 'toys', { limit: '60', colours: null });
    const { settings } = await toys(server, { LOG_LEVEL: '' });
    expect(settings.limit).toBe(60);
    const back = { application: 'toys', to: wrong, reason: 'a slip' };
    const { version } = await server.ask(RollBack, back, operator);
    await eventually(() => written().includes('limit stays as it is'), soon);
    expect(settings.limit).toBe(60);
    expect(await explain()).toMatchObject([
      {
        limit: {
          value: '60',
          refused: expect.stringContaining(`version ${version} of toys/default by ${email}: `),
        },
        unknown: ['colours'],
      },
    ]);
    expect((await toys(server)).settings.limit).toBe(60);
    rmSync(cache, { recursive: true });
    expect((await toys(server)).settings.limit).toBe(10);
    await set(server, 'toys', { limit: '61', colours: null });
    await eventually(
      () => running.every(({ app }) => app.get(PlatformSettings)) && settings.limit === 61,
      soon,
    );
  });

  it('is asked before anything is kept: what it would refuse is not set', async () => {
    const secret = 'a-secret-that-is-no-number';
    const { version } = await server.ask(GetSettings, { application: 'toys' }, operator);
    await toys(server);
    expect(await explain()).toHaveLength(1);
    const asked: unknown[] = [];
    const connection = await new BrokerConnection().open(server.broker.url, 'reads along');
    await new Listener(connection, ({ data }) => void asked.push(data)).open(SettingsAsked.name);
    const values = { limit: secret, limt: '5', rabbitmqUrl: 'amqp://127.0.0.1', token: 'fits' };
    for (const application of ['toys', 'application']) {
      await expect(set(server, application, values)).rejects.toMatchObject({
        ...{ code: 'invalid-settings', status: 422 },
        errors: [
          { path: 'limit', message: expect.stringMatching(/number/) },
          { path: 'limt', message: 'there is no such setting; did you mean limit?' },
          { path: 'rabbitmqUrl', message: 'comes from the environment only' },
        ],
      });
    }
    await expect(set(server, 'toy', { limit: '5' })).rejects.toMatchObject({
      ...{ code: 'unknown-service', status: 422 },
      message: 'there is no such service; did you mean toys?',
    });
    expect(await server.ask(GetSettings, { application: 'toys' }, operator)).toMatchObject({ version });
    await connection.close();
    expect(asked).toMatchObject([
      { application: 'toys', proposed: expect.any(String) },
      { application: 'toys', proposed: expect.any(String) },
    ]);
    expect(JSON.stringify(asked)).not.toContain(secret);
  });

  it('gets its secrets, and shows them nowhere', async () => {
    const secret = 'the-secret-of-toys-5678';
    const written = listenToLog();
    // The second is wrong: what is said of it must not hold it either.
    const to = await set(server, 'toys', { token: secret, limit: secret }, { secret: true });
    await set(server, 'toys', { token: null, limit: null });
    const { settings } = await toys(server, { LOG_LEVEL: 'trace' });
    await server.ask(RollBack, { application: 'toys', to, reason: 'back' }, operator);
    await eventually(() => settings.token === secret, soon);
    await eventually(() => written().includes('limit stays as it is'), soon);
    await set(server, 'toys', { limit: '62' }, { secret: false });
    await eventually(() => settings.limit === 62, soon);
    expect(written()).toContain('token changed');
    expect(written()).not.toContain(secret);
    const told = await explain();
    expect(told).toMatchObject([{ token: { value: masked, origin: 'config server' } }]);
    expect(JSON.stringify(told)).not.toContain(secret);
    const kept = join(cache, 'toys.json');
    await eventually(() => readFileSync(kept, 'utf8').includes('token'));
    expect(readFileSync(kept, 'utf8')).not.toContain(secret);
    expect(statSync(kept).mode & 0o777).toBe(0o600);
    const stranger = await toys(server, { CONFIG_PASSWORD: 'not the password of toys', CONFIG_CACHE: '' });
    expect(stranger.settings.token).toBeUndefined();
  });

  it('catches up with what it did not hear of as soon as its broker is back', async () => {
    const { settings } = await toys(server);
    await set(server, 'toys', { limit: '70' });
    await eventually(() => settings.limit === 70, soon);
    await server.query(
      `INSERT INTO config_version SELECT application, profile, label, version + 1,
         jsonb_set(settings, '{limit,value}', '"71"'), reason, changed_by, changed_at, restores
       FROM config_version WHERE application = 'toys' ORDER BY version DESC LIMIT 1`,
    );
    await sleep(300);
    expect(settings.limit).toBe(70);
    // The broker's list of connections lags behind: the first cut may miss the service.
    await eventually(async () => {
      await server.broker.cutConnections();
      return eventually(() => settings.limit === 71, 3_000);
    }, 20_000);
  });
});

describe('without the config server', () => {
  let broker: PrivateBroker;
  beforeAll(async () => {
    broker = await privateBroker();
  });
  afterAll(() => broker.drop());

  /** The queue of a config server that ran before, or one that takes questions and answers none. */
  async function leftQueue(consumed: boolean): Promise<BrokerConnection> {
    const connection = await new BrokerConnection().open(broker.url, 'left');
    const channel = await connection.model!.createChannel();
    const queue = queues.queries('config');
    const exchange = exchanges.requests('config');
    await channel.assertExchange(exchange, 'topic');
    await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'classic' } });
    await channel.bindQueue(queue, exchange, 'config.read-settings');
    if (consumed) await channel.consume(queue, () => {});
    return connection;
  }

  async function timeToOpen(): Promise<number> {
    const began = performance.now();
    const environment = { RABBITMQ_URL: broker.url, CONFIG_PASSWORD: 'the-password-of-toys' };
    await ServiceSettings.open('toys', [PlatformSettings], environment);
    return performance.now() - began;
  }

  it('a service starts at once, with defaults, and asks nobody where it has no password', async () => {
    const { settings } = await toys({ broker });
    expect(settings).toMatchObject({ limit: 10, colour: 'red' });
    expect(existsSync(join(cache, 'toys.json'))).toBe(false);
    const alone = await toys({ broker }, { CONFIG_PASSWORD: '' });
    expect(alone.settings.limit).toBe(10);
  });

  it('a start waits for nobody where it is away, and a second at most where it does not answer', async () => {
    const away = await leftQueue(false);
    expect(await timeToOpen()).toBeLessThan(700);
    await away.close();
    const hanging = await leftQueue(true);
    const took = await timeToOpen();
    await hanging.close();
    expect(took).toBeGreaterThan(800);
    expect(took).toBeLessThan(1_500);
  });

  it('a service that ran before starts with what held last, its secrets too; broken files are ignored', async () => {
    const server = await startServer();
    let isOver = false;
    try {
      await set(server, 'toys', { limit: '80', colour: 'blue' });
      await set(server, 'toys', { token: 'the-secret' }, { secret: true });
      const first = await toys(server);
      expect(first.settings).toMatchObject({ limit: 80, colour: 'blue', token: 'the-secret' });
      await server.stop();
      isOver = true;
      const later = await toys({ broker });
      expect(later.settings).toMatchObject({ limit: 80, colour: 'blue', token: 'the-secret' });
      for (const file of readdirSync(cache)) writeFileSync(join(cache, file), '{ broken');
      expect((await toys({ broker })).settings.limit).toBe(10);
    } finally {
      if (!isOver) await server.stop();
    }
  });

  it('what is wrong in the environment still stops the start', async () => {
    await expect(toys({ broker }, { LIMIT: 'many', COLOUR: 'green' })).rejects.toMatchObject({
      wrong: [
        { key: 'LIMIT', origin: 'environment' },
        { key: 'COLOUR', origin: 'environment' },
      ],
    });
  });

  it('a running service does not notice that it ends, and follows again when it is back', async () => {
    const server = await startServer();
    try {
      const { settings } = await toys(server);
      await set(server, 'toys', { limit: '90' });
      await eventually(() => settings.limit === 90, soon);
      const { url } = running.at(-1)!;
      const coming = server.restart();
      expect((await fetch(`${url}/health/ready`)).status).toBe(200);
      expect(settings.limit).toBe(90);
      await coming;
      await set(server, 'toys', { limit: '91' });
      await eventually(() => settings.limit === 91, soon);
    } finally {
      await server.stop();
    }
  });
});
