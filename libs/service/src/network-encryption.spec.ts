import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { describeMissingTls } from './network-encryption.ts';
import { loadDatabaseSettings } from './serve.ts';
import { ServiceSettings } from './service-settings.ts';
import { DatabaseSettings, PlatformSettings } from './settings.ts';

const SERVICE_KEY = Buffer.alloc(32, 1).toString('base64url');
const open = (environment: NodeJS.ProcessEnv) =>
  ServiceSettings.open('shop', [PlatformSettings, DatabaseSettings], {
    ...{ SERVICE_KEY, RABBITMQ_URL: 'amqps://broker.example', DATABASE_URL: 'postgres://localhost/shop' },
    ...environment,
  });
const strict = { localMode: false, plaintextNetwork: 'refuse' } as const;

describe('outside local mode', () => {
  it.each([
    ['RABBITMQ_URL', 'amqp://shop:hush@broker.example:5672', 'amqps://'],
    ['DATABASE_URL', 'postgres://shop:hush@db.example/shop', 'sslmode=verify-full'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://shop:hush@collector.example:4318', 'https://'],
  ])('a service does not start with %s=%s', async (name, address, tls) => {
    const opening = open({ [name]: address });
    await expect(opening).rejects.toThrow(
      new RegExp(
        `^${name} \\(environment\\): leads to \\S+ without TLS: use ${tls}, or set PLAINTEXT_NETWORK=allow`,
      ),
    );
    await expect(opening).rejects.not.toThrow(/hush/);
    await expect(open({ [name]: address, LOCAL_MODE: 'false' })).rejects.toThrow(/without TLS/);
    await expect(open({ [name]: address, PLAINTEXT_NETWORK: 'yes' })).rejects.toThrow(/^PLAINTEXT_NETWORK /);
    for (const allowed of [{ LOCAL_MODE: 'true' }, { PLAINTEXT_NETWORK: 'allow' }])
      await expect(open({ [name]: address, ...allowed })).resolves.toBeDefined();
  });

  it('runs no migration over a network without TLS', () => {
    const DATABASE_URL = 'postgres://shop:hush@db.example/shop';
    expect(() => loadDatabaseSettings({ DATABASE_URL })).toThrow(
      /^DATABASE_URL \(environment\): leads to db\.example/,
    );
    expect(loadDatabaseSettings({ DATABASE_URL, PLAINTEXT_NETWORK: 'allow' })).toMatchObject({
      databasePool: 6,
    });
  });

  it.each([
    ...['amqp://127.0.0.1:5672', 'amqp://u:p@localhost', 'amqp://[::1]:5672', 'amqps://broker.example'],
    ...['postgres://u@127.0.0.1/d', 'postgresql:///d?host=/var/run/postgresql', 'postgres://%2Fvar%2Frun/d'],
    ...['postgres://db.example/d?sslmode=verify-full&sslrootcert=/ca.crt', 'rediss://cache.example'],
  ])('%s may be used', (address) => expect(describeMissingTls(address, strict)).toBeUndefined());

  it.each([
    ...[
      'amqp://10.0.0.7',
      'amqp://127.0.0.1.evil.example',
      'amqp://localhost.example',
      'redis://cache.example',
    ],
    ...['postgres://db.example/d?sslmode=require', 'postgres://db.example/d?sslmode=no-verify'],
    ...[
      'postgres://db.example/d?sslmode=verify-full&sslmode=disable',
      'postgres://localhost/d?host=db.example',
    ],
    ...['postgres://db.example/d?ssl=true', 'postgresql:///d'],
    // Only PostgreSQL has these parameters.
    ...['amqp://broker.example?sslmode=verify-full', 'redis://cache.example?sslmode=verify-full'],
    'amqp://broker.example?host=127.0.0.1',
  ])('%s may not be used', (address) => expect(describeMissingTls(address, strict)).toMatch(/without TLS/));
});

it('sends no login to a broker without TLS, not even to read settings', async () => {
  let connections = 0;
  const broker = createServer((socket) => void (connections++, socket.destroy())).listen(0, '0.0.0.0');
  await new Promise((resolve) => broker.once('listening', resolve));
  const { port } = broker.address() as AddressInfo;
  const environment = {
    RABBITMQ_URL: `amqp://shop:hush@0.0.0.0:${port}`,
    CONFIG_PASSWORD: 'a-password-of-mine',
  };
  try {
    await expect(open(environment)).rejects.toThrow(/^RABBITMQ_URL .*without TLS/);
    expect(connections).toBe(0);
    await open({ ...environment, PLAINTEXT_NETWORK: 'allow' });
    expect(connections).toBeGreaterThan(0);
  } finally {
    broker.close();
  }
});
