import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { describe as describeContract, service } from '@jogakbo/contract';
import {
  ExplainSettings,
  GetSettings,
  secretMask,
  RollBack,
  SettingsRequested,
} from '@jogakbo/contracts-config';
import { BrokerConnection, Listener } from '@jogakbo/messaging';
import { PlatformSettings } from '@jogakbo/service';
import { eventually, type ServiceUnderTest } from '@jogakbo/testing';
import { z } from 'zod';
import { email, operator, set, startServer } from './server.ts';
import { createToys, liveTimeoutMs } from './toys.ts';

const Announced = service('instances').event('announced', z.looseObject({}));

const toys = createToys();

/** Captures log output from now on, including that of services started later. */
function captureLog(): () => string {
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

describe('a service with a config server', () => {
  let server: ServiceUnderTest;
  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server.stop());

  const explainToys = async () => {
    const { instances } = await server.ask(ExplainSettings, { application: 'toys' }, operator);
    return instances.map(({ settings, unknown }) => ({
      unknown,
      ...Object.fromEntries(settings.map(({ key, ...rest }) => [key, rest])),
    }));
  };

  it('reads settings in order of precedence: environment, config server, default', async () => {
    await set(server, 'application', { limit: '20', colour: 'blue', port: '1' });
    await set(server, 'toys', { limit: '30' });
    const { settings, app } = await toys.start(server, { COLOUR: 'red', PORT: '0', TRUSTS: 'kim' });
    expect(settings).toMatchObject({ limit: 30, colour: 'red' });
    expect(app.get(PlatformSettings)).toMatchObject({ port: 0, logLevel: 'error', announceEvery: 2 });
    expect(await explainToys()).toEqual([
      expect.objectContaining({
        limit: {
          value: '30',
          origin: 'config server',
          live: true,
          from: `version 1 of toys/default by ${email}`,
        },
        colour: { value: 'red', origin: 'environment', live: false },
        announceEvery: { value: '2', origin: 'default', live: false },
        rabbitmqUrl: { value: secretMask, origin: 'environment', live: false },
        configPassword: { value: secretMask, origin: 'environment', live: false },
        token: { value: null, origin: 'default', live: true },
        trusts: { value: 'kim', origin: 'environment', live: false },
      }),
    ]);
    await set(server, 'application', { limit: null, colour: null, port: null });
  });

  it('accepts trust settings and addresses from the environment only, and reports other values', async () => {
    const written = captureLog();
    // Without running instances, the config server accepts all settings.
    await set(server, 'toys', { address: 'https://evil.example', brokerOperator: 'toys', limit: '31' });
    await set(server, 'application', { host: '0.0.0.0' });
    const { settings, app } = await toys.start(server, { LOG_LEVEL: 'warn' });
    const getRefusals = async () => {
      const [{ address, brokerOperator, host }] = (await explainToys()) as unknown as [
        Record<string, { refused?: string }>,
      ];
      return [address, brokerOperator, host].map((one) => one?.refused?.split(': ')[1]);
    };
    const getValues = () => [settings.limit, settings.address, app.get(PlatformSettings).host];
    expect(getValues()).toEqual([31, 'https://toys.example', '127.0.0.1']);
    expect(app.get(PlatformSettings).brokerOperator).toBeUndefined();
    expect(await getRefusals()).toEqual(Array(3).fill('comes from the environment only'));
    for (const setting of ['address', 'brokerOperator', 'host'])
      expect(written()).toMatch(
        new RegExp(`"setting":"${setting}".*"problem":"comes from the environment only"`),
      );
    expect(readFileSync(join(toys.cache, 'toys.json'), 'utf8')).not.toContain('evil');
    await set(server, 'toys', { address: null, brokerOperator: null, limit: null });
    await set(server, 'application', { host: null });
    await eventually(async () => (await getRefusals()).every((one) => one === undefined) || undefined);
    expect(getValues()).toEqual([10, 'https://toys.example', '127.0.0.1']);
  });

  it('applies a live change and its roll back within a second in all instances', async () => {
    const both = [await toys.start(server, { LOG_LEVEL: '' }), await toys.start(server, { LOG_LEVEL: '' })];
    const getLimits = () => both.map(({ settings }) => settings.limit);
    captureLog();
    for (const limit of [40, 41, 42]) {
      const startedAt = performance.now();
      const version = await set(server, 'toys', { limit: String(limit) });
      await eventually(() => getLimits().every((one) => one === limit), liveTimeoutMs);
      expect(performance.now() - startedAt).toBeLessThan(liveTimeoutMs);
      if (limit === 42) {
        await server.ask(RollBack, { application: 'toys', to: version - 1, reason: 'too high' }, operator);
        await eventually(() => getLimits().every((one) => one === 41), liveTimeoutMs);
      }
    }
  });

  it('changes the log level without a restart', async () => {
    const written = captureLog();
    const { app } = await toys.start(server, { LOG_LEVEL: '' });
    expect(app.get(PlatformSettings).logLevel).toBe('info');
    await set(server, 'toys', { logLevel: 'warn' });
    await eventually(() => app.get(PlatformSettings).logLevel === 'warn', liveTimeoutMs);
    const before = written().length;
    await set(server, 'toys', { limit: '50' });
    await sleep(300);
    expect(written().slice(before)).not.toContain('limit changed');
    await set(server, 'toys', { logLevel: null });
    await eventually(() => app.get(PlatformSettings).logLevel === 'info', liveTimeoutMs);
    await set(server, 'toys', { limit: '51' });
    await eventually(() => written().includes('limit changed'), liveTimeoutMs);
  });

  it('reports its settings even if it is considered gone', async () => {
    await toys.start(server, { ANNOUNCE_EVERY: '60' });
    const [toy] = (await server.ask(ExplainSettings, { application: 'toys' }, operator)).instances;
    await server.announce(
      Announced({
        service: 'toys',
        version: '1',
        instance: toy!.instance,
        state: 'draining',
        interval: 60,
        url: 'http://127.0.0.1:9',
        startedAt: new Date().toISOString(),
        contract: describeContract(service('toys')),
      }),
    );
    await sleep(100);
    expect(await explainToys()).toHaveLength(1);
  });

  it('applies other changes after a restart, and reports them', async () => {
    const written = captureLog();
    const { settings } = await toys.start(server, { LOG_LEVEL: '' });
    const version = await set(server, 'toys', { colour: 'blue' });
    await eventually(
      () => written().includes('colour changed; it takes effect after a restart'),
      liveTimeoutMs,
    );
    expect(settings.colour).toBe('red');
    expect(await explainToys()).toMatchObject([
      { colour: { value: 'red', afterRestart: `version ${version} of toys/default by ${email}` } },
    ]);
    expect((await toys.start(server)).settings.colour).toBe('blue');
    await set(server, 'toys', { colour: null });
  });

  it('rejects an invalid value at run time and at start, and keeps the last valid value', async () => {
    const written = captureLog();
    // Without running instances, the config server accepts all settings.
    const invalid = await set(server, 'toys', { limit: 'many', colours: 'green' });
    await set(server, 'toys', { limit: '60', colours: null });
    const { settings } = await toys.start(server, { LOG_LEVEL: '' });
    expect(settings.limit).toBe(60);
    const back = { application: 'toys', to: invalid, reason: 'a slip' };
    const { version } = await server.ask(RollBack, back, operator);
    await eventually(() => written().includes('limit stays as it is'), liveTimeoutMs);
    expect(settings.limit).toBe(60);
    expect(await explainToys()).toMatchObject([
      {
        limit: {
          value: '60',
          refused: expect.stringContaining(`version ${version} of toys/default by ${email}: `),
        },
        unknown: ['colours'],
      },
    ]);
    expect((await toys.start(server)).settings.limit).toBe(60);
    rmSync(toys.cache, { recursive: true });
    expect((await toys.start(server)).settings.limit).toBe(10);
    await set(server, 'toys', { limit: '61', colours: null });
    await eventually(
      () => toys.running.every(({ app }) => app.get(PlatformSettings)) && settings.limit === 61,
      liveTimeoutMs,
    );
  });

  it('validates settings before they are stored', async () => {
    const secret = 'a-secret-that-is-no-number';
    const { version } = await server.ask(GetSettings, { application: 'toys' }, operator);
    await toys.start(server);
    expect(await explainToys()).toHaveLength(1);
    const questions: unknown[] = [];
    const connection = await new BrokerConnection().open(server.broker.url, 'reads along');
    await new Listener(connection, ({ data }) => void questions.push(data)).open(SettingsRequested.name);
    const values = { limit: secret, limt: '5', rabbitmqUrl: 'amqp://127.0.0.1', token: 'fits' };
    for (const application of ['toys', 'application']) {
      await expect(set(server, application, values)).rejects.toMatchObject({
        code: 'invalid-settings',
        status: 422,
        errors: [
          { path: 'limit', message: expect.stringMatching(/number/) },
          { path: 'limt', message: 'there is no such setting; did you mean limit?' },
          { path: 'rabbitmqUrl', message: 'comes from the environment only' },
        ],
      });
    }
    await expect(set(server, 'toy', { limit: '5' })).rejects.toMatchObject({
      code: 'unknown-service',
      status: 422,
      message: 'there is no such service; did you mean toys?',
    });
    expect(await server.ask(GetSettings, { application: 'toys' }, operator)).toMatchObject({ version });
    await connection.close();
    expect(questions).toMatchObject([
      { application: 'toys', proposed: expect.any(String) },
      { application: 'toys', proposed: expect.any(String) },
    ]);
    expect(JSON.stringify(questions)).not.toContain(secret);
  });

  it('receives its secrets, and does not reveal them', async () => {
    const secret = 'the-secret-of-toys-5678';
    const written = captureLog();
    // `limit` is invalid. The error must not contain its value.
    const to = await set(server, 'toys', { token: secret, limit: secret }, { secret: true });
    await set(server, 'toys', { token: null, limit: null });
    const { settings } = await toys.start(server, { LOG_LEVEL: 'trace' });
    await server.ask(RollBack, { application: 'toys', to, reason: 'back' }, operator);
    await eventually(() => settings.token === secret, liveTimeoutMs);
    await eventually(() => written().includes('limit stays as it is'), liveTimeoutMs);
    await set(server, 'toys', { limit: '62' }, { secret: false });
    await eventually(() => settings.limit === 62, liveTimeoutMs);
    expect(written()).toContain('token changed');
    expect(written()).not.toContain(secret);
    const reports = await explainToys();
    expect(reports).toMatchObject([{ token: { value: secretMask, origin: 'config server' } }]);
    expect(JSON.stringify(reports)).not.toContain(secret);
    const cacheFile = join(toys.cache, 'toys.json');
    await eventually(() => readFileSync(cacheFile, 'utf8').includes('token'));
    expect(readFileSync(cacheFile, 'utf8')).not.toContain(secret);
    expect(statSync(cacheFile).mode & 0o777).toBe(0o600);
    const unauthorized = await toys.start(server, {
      CONFIG_PASSWORD: 'not the password of toys',
      CONFIG_CACHE: '',
    });
    expect(unauthorized.settings.token).toBeUndefined();
  });

  it('applies missed changes after the broker connection returns', async () => {
    const { settings } = await toys.start(server);
    await set(server, 'toys', { limit: '70' });
    await eventually(() => settings.limit === 70, liveTimeoutMs);
    // Written without a notification. The service may still be reading after the previous one, and then sees this one too.
    let missed = 70;
    while (settings.limit === missed) {
      missed += 1;
      await server.query(
        `INSERT INTO config_version SELECT application, profile, label, version + 1,
           jsonb_set(settings, '{limit,value}', to_jsonb($1::text)), reason, changed_by, changed_at, restores
         FROM config_version WHERE application = 'toys' ORDER BY version DESC LIMIT 1`,
        [String(missed)],
      );
      await sleep(300);
    }
    expect(missed).toBeLessThan(75);
    // The broker lists new connections late, so the first attempt may miss the service.
    await eventually(async () => {
      await server.broker.cutConnections();
      return eventually(() => settings.limit === missed, 3_000);
    }, 20_000);
  });
});
