import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { toConnectOptions } from '@jogakbo/messaging/address';
import { exchanges, queues, retryKey } from '@jogakbo/messaging/topology';
import { writeBasicCredentials } from '@jogakbo/service/basic-credentials';
import { connect, type ChannelModel } from 'amqplib';
import pg from 'pg';
import { type Holder, ensureCertificates } from '@jogakbo/cli/src/backing/tls/authority.ts';
import { authorityFile, certificateFile } from '@jogakbo/cli/src/backing/tls/certificate-files.ts';
import { resolvePostgresPaths } from '@jogakbo/cli/src/backing/postgres/private-postgres.ts';
import { readRun } from '@jogakbo/cli/src/supervisor/run-record.ts';
import { readKeptPorts, ensureSecrets, openState } from '@jogakbo/cli/src/supervisor/state.ts';
import { getBrokerUrl, getDatabaseUrl } from '@jogakbo/cli/src/supervisor/store-access.ts';
import { brokerServer, databaseServer, withCertificate } from '@jogakbo/cli/src/backing/tls/store-tls.ts';
import { FakeWorkspace } from '../src/fake-workspace.ts';
import { until } from '../src/jogakbo.ts';
import { Store } from '../src/store.ts';

const withTls = { JOGAKBO_TLS: '1' };
const start = ['start', '--detach', '--no-seed'];

/** @returns the authenticated login at the broker, or why the broker rejected it */
async function tryBroker(url: string, options = toConnectOptions(url), names = ['orders', 'payments']) {
  let connection: ChannelModel | undefined;
  try {
    connection = await connect(url, { ...options, timeout: 10_000 });
    connection.on('error', () => undefined);
    for (const userId of names) {
      const channel = await connection.createConfirmChannel();
      channel.on('error', () => undefined);
      // The broker accepts a message with this user id from this login only. No queue is bound for a delay of 0.
      const key = retryKey(0, queues.commands(userId));
      const isAccepted = new Promise((resolve) =>
        channel.publish(exchanges.retry(userId), key, Buffer.from(''), { userId }, (error) =>
          resolve(!error),
        ),
      );
      if (await isAccepted) return userId;
    }
    return 'another login';
  } catch (error) {
    return `refused: ${(error as Error).message}`;
  } finally {
    await connection?.close().catch(() => undefined);
  }
}

async function tryDatabase(url: string, sql = 'SELECT current_user AS found'): Promise<string> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<{ found: string }>(sql)).rows[0]?.found ?? '';
  } catch (error) {
    return `refused: ${(error as Error).message}`;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Rejected by the server: a TLS alert, or a closed connection. */
const rejectedByServer = /^refused: .*(alert|ECONNRESET|EPIPE|closed)/;

describe('TLS', () => {
  const workspace = new FakeWorkspace();
  const state = openState(workspace.home);
  const tls = join(workspace.home, 'tls');
  const otherTls = join(workspace.folder, 'strange');
  const ports = () => readKeptPorts(state);
  const broker = (scheme: string) => `${scheme}://127.0.0.1:${ports().amqp}`;
  const database = (login: string) => `postgresql://${login}@127.0.0.1:${ports().postgres}/${login}`;

  beforeAll(() => workspace.make(['orders', 'payments', 'gift-cards']));
  afterAll(() => workspace.remove());

  it('is on if requested, and is reported', async () => {
    const { code, output } = await workspace.run(start, withTls);
    expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining('RabbitMQ with TLS') });
    expect(output).toMatch(/PostgreSQL with TLS[^]*amqps:\/\/[^]*certificates, good until 20\d\d-/);
    expect((await workspace.run(['ps'])).output).toMatch(/broker +ready \(TLS\)[^]*database +ready \(TLS\)/);
    expect((await workspace.run(['doctor'])).output).toMatch(/ok +TLS +on, with certificates/);
  });

  it('makes every key readable by its user only', () => {
    expect(statSync(tls).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(tls))
      expect(`${name} ${statSync(join(tls, name)).mode & 0o777}`).toBe(`${name} ${0o600}`);
    const { data, user } = resolvePostgresPaths({ folder: join(workspace.home, 'postgres'), id: state.id });
    const { mode, uid } = statSync(join(data, 'server.key'));
    expect({ mode: mode & 0o777, uid }).toEqual({ mode: 0o600, uid: user?.uid ?? process.getuid!() });
  });

  it('authenticates a service by the name in its certificate', async () => {
    for (const service of ['orders', 'payments'])
      expect(await tryBroker(withCertificate(broker('amqps'), tls, service))).toBe(service);
    for (const [service, login] of [
      ['orders', 'orders'],
      ['gift-cards', 'gift_cards'],
    ] as const)
      expect(await tryDatabase(withCertificate(database(login), tls, service))).toBe(login);
    // The addresses in the environment of the services.
    const { url } = (await workspace.findRow('orders'))!;
    const given = (await (await fetch(url!)).json()) as Record<string, string>;
    expect(await tryBroker(given.RABBITMQ_URL!)).toBe('orders');
    expect(await tryDatabase(given.DATABASE_URL!)).toBe('orders');
    expect(new URL(given.RABBITMQ_URL!).password + new URL(given.DATABASE_URL!).password).toBe('');
  });

  it('rejects a client without a certificate, or with one of another authority', async () => {
    await ensureCertificates(otherTls, 'strange', [{ name: 'orders', is: 'client' }]);
    const ca = readFileSync(authorityFile(tls));
    const url = `${broker('amqps')}?auth_mechanism=external`;
    const otherAuthority = toConnectOptions(withCertificate(url, otherTls, 'orders'));
    expect(await tryBroker(url, { ...toConnectOptions(url), ca })).toMatch(rejectedByServer);
    expect(await tryBroker(url, { ...otherAuthority, ca })).toMatch(rejectedByServer);
    const otherUrl = new URL(withCertificate(database('orders'), otherTls, 'orders'));
    otherUrl.searchParams.set('sslrootcert', authorityFile(tls));
    expect(await tryDatabase(otherUrl.href)).toMatch(/^refused: .*unknown ca/);
    const without = `${database('orders')}?sslmode=verify-full&sslrootcert=${authorityFile(tls)}`;
    expect(await tryDatabase(without)).toMatch(/^refused: .*requires a valid client certificate/);
  });

  it('trusts no server of another authority', async () => {
    const certificate = toConnectOptions(withCertificate(broker('amqps'), tls, 'orders'));
    const ca = readFileSync(authorityFile(otherTls));
    expect(await tryBroker(broker('amqps'), { ...certificate, ca })).toMatch(/^refused: .*certificate/);
    const url = new URL(withCertificate(database('orders'), tls, 'orders'));
    url.searchParams.set('sslrootcert', authorityFile(otherTls));
    expect(await tryDatabase(url.href)).toMatch(/^refused: .*certificate/);
  });

  it('rejects the login of another service, even with its password', async () => {
    const secrets = ensureSecrets(state);
    const { credentials: _, ...certificate } = toConnectOptions(
      withCertificate(broker('amqps'), tls, 'orders'),
    );
    const operator = new URL(broker('amqps'));
    Object.assign(operator, { username: 'jogakbo', password: secrets.brokerAdministrator });
    expect(await tryBroker(operator.href, certificate, ['jogakbo'])).toMatch(/PLAIN is not provided/);
    const payments = new URL(withCertificate(database('payments'), tls, 'orders'));
    payments.password = secrets.databasePasswords.payments!;
    expect(await tryDatabase(payments.href)).toMatch(/^refused: certificate authentication failed/);
    expect(await tryDatabase(getDatabaseUrl(state, 'orders').replace('/orders?', '/payments?'))).toMatch(
      /^refused: permission denied for database/,
    );
  });

  it('is required, with a current version', async () => {
    const secrets = ensureSecrets(state);
    expect(
      await tryBroker(broker('amqp').replace('//', `//jogakbo:${secrets.brokerAdministrator}@`)),
    ).toMatch(rejectedByServer);
    const plain = new URL(database('orders'));
    plain.password = secrets.databasePasswords.orders!;
    expect(await tryDatabase(plain.href)).toMatch(/^refused: .*no encryption/);
    const own = withCertificate(broker('amqps'), tls, 'orders');
    const tryVersion = (maxVersion: 'TLSv1.1' | 'TLSv1.2') =>
      tryBroker(own, {
        ...toConnectOptions(own),
        ...{ minVersion: 'TLSv1.1', maxVersion, ciphers: 'DEFAULT@SECLEVEL=0' },
      });
    expect(await tryVersion('TLSv1.2')).toBe('orders');
    expect(await tryVersion('TLSv1.1')).toMatch(/^refused: .*alert protocol version/);
  });

  it('can be turned off and on with the same data, and renews certificates before they expire', async () => {
    const createTable = 'CREATE TABLE kept AS SELECT 1 AS one';
    expect(await tryDatabase(getDatabaseUrl(state, 'orders'), createTable)).toBe('');
    const url = getBrokerUrl(state);
    const connection = await connect(url, toConnectOptions(url));
    await (await connection.createChannel()).assertQueue('kept', { durable: true });
    await connection.close();
    const expectData = async () => {
      expect(await tryDatabase(getDatabaseUrl(state, 'orders'), 'SELECT one::text AS found FROM kept')).toBe(
        '1',
      );
      const url = getBrokerUrl(state);
      const connection = await connect(url, toConnectOptions(url));
      await (await connection.createChannel()).checkQueue('kept');
      await connection.close();
    };

    // The next supervisor takes over both servers of a killed one, and restarts them without TLS.
    const { pid } = readRun(state)!.supervisor;
    process.kill(pid, 'SIGKILL');
    await until(async () => (await workspace.findRow('supervisor'))?.state === 'ended');
    expect((await workspace.run(start)).output).not.toContain('TLS');
    expect(new URL(getBrokerUrl(state)).protocol).toBe('amqp:');
    await expectData();
    await workspace.run(['stop']);

    rmSync(tls, { recursive: true });
    const holders: Holder[] = [
      ...[brokerServer, databaseServer].map((name) => ({ name, is: 'server' as const })),
      ...['jogakbo', 'orders', 'payments', 'gift-cards'].map((name) => ({ name, is: 'client' as const })),
    ];
    await ensureCertificates(tls, state.id, holders, new Date(Date.now() - 100 * 86_400_000));
    const readCertificates = () =>
      holders.map(({ name }) => new X509Certificate(readFileSync(certificateFile(tls, name))));
    const authority = readFileSync(authorityFile(tls), 'utf8');
    expect(readCertificates().filter(({ validToDate }) => validToDate > new Date())).toEqual([]);
    expect(await workspace.run(start, withTls)).toMatchObject({ code: 0 });
    const inAMonth = new Date(Date.now() + 30 * 86_400_000);
    expect(readCertificates().filter(({ validToDate }) => validToDate < inAMonth)).toEqual([]);
    expect(readFileSync(authorityFile(tls), 'utf8')).toBe(authority);
    await expectData();
    await workspace.run(['stop']);
  }, 300_000);

  it('does not change given servers, and reports it', async () => {
    const given = { ...withTls, RABBITMQ_URL: 'amqp://127.0.0.1:1' };
    expect((await workspace.run(start, given)).output).toContain('RABBITMQ_URL is used as it is');
    const inDocker = await workspace.run(start, { ...withTls, JOGAKBO_BROKER: 'docker' });
    expect(inDocker).toMatchObject({
      code: 1,
      output: expect.stringContaining('JOGAKBO_TLS=1 needs a RabbitMQ'),
    });
    const wrong = await workspace.run(start, { JOGAKBO_TLS: 'yes please' });
    expect(wrong).toMatchObject({ code: 2, output: expect.stringContaining('set it to 1 or unset it') });
  });
});

describe('a whole store with TLS', () => {
  const store = new Store();
  beforeAll(async () => {
    Object.assign(process.env, { ...withTls, LOG_LEVEL: 'debug' });
    await store.start(['--no-seed']);
  }, 300_000);
  afterAll(async () => {
    for (const name of ['JOGAKBO_TLS', 'LOG_LEVEL']) delete process.env[name];
    await store.remove();
  });

  it('sells', async () => {
    const [{ token }, productId] = [await store.createMember(), await store.createProduct(3)];
    const { body } = await store.buy(token, store.buildOrder(productId));
    expect(body).toMatchObject({ status: 'confirmed' });
    await until(async () => (await store.readAvailable(productId)) === 2);
  });

  it('authenticates at its broker and databases by certificates only', async () => {
    const state = openState(store.home);
    const { brokerAdministrator } = ensureSecrets(state);
    const services = readRun(state)!.services.map(({ name }) => name);
    // The list of the management API lags by seconds.
    const connections = await until(async () => {
      const response = await fetch(`${readRun(state)!.broker!.managementUrl}/api/connections`, {
        headers: { authorization: writeBasicCredentials('jogakbo', brokerAdministrator) },
      });
      const listed = (await response.json()) as Record<'user' | 'auth_mechanism' | 'ssl_protocol', string>[];
      const users = new Set(listed.map(({ user }) => user));
      return services.every((name) => users.has(name)) && listed;
    }, 30_000);
    const unexpected = connections.filter(({ user }) => user !== 'jogakbo' && !services.includes(user));
    expect(unexpected).toEqual([]);
    for (const { auth_mechanism, ssl_protocol } of connections)
      expect(`${auth_mechanism} ${ssl_protocol}`).toBe('EXTERNAL tlsv1.3');
    const operator = withCertificate(readRun(state)!.database!.url, join(store.home, 'tls'), 'jogakbo');
    const others = `SELECT count(*)::text AS found FROM pg_stat_activity LEFT JOIN pg_stat_ssl USING (pid)
      WHERE backend_type = 'client backend' AND (NOT ssl OR client_dn IS NULL OR replace(client_dn, '-', '_') <> '/CN=' || usename)`;
    expect(await tryDatabase(operator, others)).toBe('0');
  });

  it('serves the commands of its operator', async () => {
    expect(await store.run(['dead', 'list'])).toMatchObject({
      code: 0,
      output: expect.stringContaining('No dead'),
    });
    expect(await store.run(['projection', 'list'])).toMatchObject({ code: 0 });
  });

  it('logs no key and no certificate', () => {
    const { logs, folder } = openState(store.home);
    const text = readdirSync(logs)
      .map((name) => readFileSync(join(logs, name), 'utf8'))
      .join('\n');
    expect(text.length).toBeGreaterThan(10_000);
    const secret = readdirSync(join(folder, 'tls')).flatMap((name) =>
      readFileSync(join(folder, 'tls', name), 'utf8')
        .split('\n')
        .filter((line) => line.length > 20 && !line.startsWith('--'))
        .map((line) => ({ name, line })),
    );
    expect(secret.length).toBeGreaterThan(50);
    expect(secret.filter(({ line }) => text.includes(line))).toEqual([]);
    expect(text).not.toContain('PRIVATE KEY');
  });
});
