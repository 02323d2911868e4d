import { type ChildProcess } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BrokerConnection, contextHeaders, encodeEvent, exchanges, Publisher } from '@jogakbo/messaging';
import {
  createPrivateBroker,
  createPrivateDatabase,
  eventually,
  type Private,
  type PrivateBroker,
} from '@jogakbo/testing';
import pg from 'pg';
import { InstalledApplication } from './packages/installed-application.ts';

const libraries = [
  'contract',
  'messaging',
  'consistency',
  'resilience',
  'observability',
  'service',
  'testing',
];

describe('the libraries, packed and installed in a Nest application outside of the workspace', () => {
  const application = new InstalledApplication();
  beforeAll(() => application.install());
  afterAll(() => application.remove());

  it('contain the compiled library, and no tests', () => {
    const names = application.packed.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(libraries.map((name) => `@jogakbo/${name}`)));
    for (const { files } of application.packed) {
      const paths = files.map(({ path }) => path);
      expect(paths).toEqual(
        expect.arrayContaining(['LICENSE', 'README.md', 'package.json', 'lib/index.js', 'lib/index.d.ts']),
      );
      const allowed =
        /^(LICENSE|README\.md|CHANGELOG\.md|package\.json|lib\/(?!.*\.(spec|types)\.).+\.(js|js\.map|d\.ts))$/;
      expect(paths.filter((path) => !allowed.test(path))).toEqual([]);
    }
  });

  it('have declarations that the application compiles with, in strict mode', async () => {
    expect(await application.compile()).toBe('');
  });

  describe('with a broker and a database', () => {
    let broker: PrivateBroker;
    let databases: { loans: Private; shelves: Private };
    let loans: { child: ChildProcess; url: string };
    let shelves: { child: ChildProcess };

    const getEnvironment = (service: 'loans' | 'shelves') => ({
      ...{ RABBITMQ_URL: broker.url, DATABASE_URL: databases[service].url, LOCAL_MODE: 'true' },
      SERVICE_KEY: serviceKeys[service],
    });
    const serviceKeys = {
      loans: randomBytes(32).toString('base64url'),
      shelves: randomBytes(32).toString('base64url'),
    };
    const startShelves = async () => {
      shelves = await application.start('dist/shelves/main.js', getEnvironment('shelves'));
    };
    const count = async (bookId: string) => (await fetch(`${loans.url}/loans/${bookId}`)).json();
    /** Places loans with the RabbitMQ client of Nest. */
    const placeLoans = async (...bookIds: string[]) => {
      const inputs = bookIds.map((bookId) => JSON.stringify({ bookId }));
      const args = ['dist/peer/main.js', 'loans.commands', 'loans.place-loan', ...inputs];
      return JSON.parse(await application.run(args, { RABBITMQ_URL: broker.url })) as {
        answer?: { loanId: string; bookId: string };
        error?: string;
      }[];
    };
    const query = async (service: 'loans' | 'shelves', sql: string) => {
      const client = new pg.Client({ connectionString: databases[service].url });
      await client.connect();
      try {
        return (await client.query(sql)).rows[0] as Record<string, number>;
      } finally {
        await client.end();
      }
    };

    beforeAll(async () => {
      broker = await createPrivateBroker();
      databases = { loans: await createPrivateDatabase(), shelves: await createPrivateDatabase() };
      await application.run(['dist/shelves/main.js', 'migrate'], getEnvironment('shelves'));
      [loans] = await Promise.all([
        application.start('dist/loans/main.js', getEnvironment('loans')),
        startShelves(),
      ]);
    });
    afterAll(async () => {
      await application.remove();
      await Promise.all([broker.drop(), databases.loans.drop(), databases.shelves.drop()]);
    });

    it('the application is called by a stock Nest client, and calls a service', async () => {
      const [first, second] = await placeLoans('b-1', 'b-1');
      expect(first!.answer).toMatchObject({ bookId: 'b-1' });
      expect(second!.answer!.loanId).not.toBe(first!.answer!.loanId);
      await eventually(async () => {
        expect(await count('b-1')).toEqual({ placed: 2, taken: 2, copies: 98 });
        return true;
      });
    });

    it('a rejection reaches the stock client with its code, and its transaction leaves nothing', async () => {
      expect(await placeLoans('unknown')).toEqual([{ error: 'unknown-book' }]);
      expect(await count('unknown')).toEqual({ placed: 0, taken: 0, copies: 100 });
    });

    it('the outbox keeps a command for a service that does not run', async () => {
      await application.stop(shelves.child);
      const [loan] = await placeLoans('b-2');
      expect(loan!.answer).toMatchObject({ bookId: 'b-2' });
      await startShelves();
      await eventually(async () => {
        expect(await count('b-2')).toEqual({ placed: 1, taken: 1, copies: 99 });
        return true;
      });
      expect(
        await query('loans', 'SELECT count(*)::int AS open FROM outbox WHERE published_at IS NULL'),
      ).toEqual({
        open: 0,
      });
    });

    it('the inbox handles an event once that arrives twice', async () => {
      const [placed] = await placeLoans('b-3');
      const loan = placed!.answer!;
      await eventually(async () => ((await count('b-3')) as { taken: number }).taken === 1);
      const connection = await new BrokerConnection().open(broker.url, 'test');
      const publisher = new Publisher(connection);
      await publisher.open();
      const name = 'shelves.copy-taken';
      const event = { id: randomUUID(), name, source: 'shelves', time: new Date(), data: { ...loan } };
      for (let times = 0; times < 3; times++)
        await publisher.publish({
          ...{ exchange: exchanges.events(name), routingKey: name },
          ...encodeEvent(event, contextHeaders(undefined)),
        });
      await connection.close();
      await eventually(async () => ((await count('b-3')) as { taken: number }).taken === 2);
      expect(
        await query('loans', `SELECT count(*)::int AS kept FROM inbox WHERE key LIKE '%${event.id}%'`),
      ).toEqual({
        kept: 1,
      });
      expect(await count('b-3')).toEqual({ placed: 1, taken: 2, copies: 99 });
    });

    it('the testing library runs a service of the application', async () => {
      const output = await application.run(['--test', 'dist/shelves/shelves.test.js'], {});
      expect(output).toMatch(/pass 1\b/);
    });
  });
});
