import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { service, type Body } from '@jogakbo/contract';
import { consistencyMigrations, type UnitOfWork } from '@jogakbo/consistency';
import { BrokerConnection, Handles, queues } from '@jogakbo/messaging';
import { createDataSource, Service, start, type RunningService } from '@jogakbo/service';
import { Controller, type Type } from '@nestjs/common';
import { type MigrationInterface, type QueryRunner } from 'typeorm';
import { z } from 'zod';
import {
  eventually,
  shiftSystemTime,
  createPrivateDatabase,
  ServiceUnderTest,
  type Private,
} from '@jogakbo/testing';

const page = z.strictObject({ page: z.int() });
const office = service('office');
const Ask = office.command('ask', { input: page });
const Asked = office.event('asked', page);
const printer = service('printer');
const CountPages = printer.query('count-pages', { input: z.strictObject({}), output: z.int() });
const Print = printer.command('print', { input: page });

@Controller()
class Office {
  @Handles(Ask)
  async ask({ page }: Body<typeof Ask>, { send, publish }: UnitOfWork) {
    send(Print({ page }));
    publish(Asked({ page }));
  }
}

class Tables1700000001000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE done (what text)');
  }
  async down(): Promise<void> {}
}

@Controller()
class Printer {
  @Handles(Print)
  async print({ page }: Body<typeof Print>, { tx }: UnitOfWork) {
    await tx.query('INSERT INTO done VALUES ($1)', [`printed ${page}`]);
  }

  @Handles(CountPages)
  async count() {
    return 0;
  }

  @Handles(Asked)
  async asked({ page }: Body<typeof Asked>, { tx }: UnitOfWork) {
    await tx.query('INSERT INTO done VALUES ($1)', [`heard ${page}`]);
  }
}

@Service({
  contract: office,
  calls: [Print],
  migrations: [...consistencyMigrations],
  handlers: [Office],
})
class OfficeModule {}

@Service({
  contract: printer,
  migrations: [...consistencyMigrations, Tables1700000001000],
  handlers: [Printer],
})
class PrinterModule {}

describe('a queue that was deleted with its messages', () => {
  let sender: ServiceUnderTest;
  let database: Private;
  let receiver: RunningService | undefined;
  const pages = Array.from({ length: 25 }, (_, page) => page);

  beforeAll(async () => {
    sender = await ServiceUnderTest.start(OfficeModule);
    database = await createPrivateDatabase();
    const source = await createDataSource(PrinterModule as Type, {
      ...{ databaseUrl: database.url, databasePool: 1 },
    }).initialize();
    await source.runMigrations();
    await source.destroy();
  });
  afterAll(async () => {
    shiftSystemTime(0);
    await receiver?.stop();
    await sender.stop();
    await database.drop();
  });

  const serviceKey = randomBytes(32).toString('base64url');
  const startReceiver = (environment: NodeJS.ProcessEnv = {}) =>
    start(PrinterModule, {
      environment: {
        ...{ LOG_LEVEL: 'error', RABBITMQ_URL: sender.broker.url, DATABASE_URL: database.url },
        ...{ SERVICE_KEY: serviceKey, ...environment },
      },
    });
  const listExpected = (count: number) =>
    pages
      .slice(0, count)
      .flatMap((page) => [`printed ${page}`, `heard ${page}`])
      .sort();
  /** The broker confirms these into queues without a consumer; then the queues are deleted with them. */
  async function lose(
    some: number[],
    lost = [queues.commands('printer'), queues.events('printer')],
  ): Promise<void> {
    for (const page of some) await sender.ask(Ask, { page });
    await eventually(async () => {
      const [{ open }] = (await sender.query(
        'SELECT count(*)::int AS open FROM outbox WHERE published_at IS NULL',
      )) as [{ open: number }];
      return open === 0;
    });
    const connection = await new BrokerConnection().open(sender.broker.url, 'operator');
    const channel = await connection.model!.createChannel();
    for (const queue of lost) await channel.deleteQueue(queue);
    await connection.close();
  }
  const readDone = async () => {
    const source = await createDataSource(PrinterModule as Type, {
      ...{ databaseUrl: database.url, databasePool: 1 },
    }).initialize();
    const rows = (await source.query('SELECT what FROM done ORDER BY what')) as { what: string }[];
    await source.destroy();
    return rows.map(({ what }) => what);
  };

  it('loses and repeats no message, handled or not, even with a system clock in the past', async () => {
    receiver = await startReceiver();
    for (const page of pages.slice(0, 10)) await sender.ask(Ask, { page });
    await eventually(async () => (await readDone()).length === 20, 10_000);
    await receiver.stop();

    await lose(pages.slice(10, 15));
    shiftSystemTime(-3_600_000);
    receiver = await startReceiver();
    await eventually(async () => (await readDone()).length >= 30, 15_000);
    expect(await readDone()).toEqual(listExpected(15));
    shiftSystemTime(0);
  }, 60_000);

  it('loses nothing if the instance that declared the queues again ended before it could announce them', async () => {
    await receiver!.stop();
    await lose(pages.slice(15, 20));
    // It consumes before it listens, and a taken port ends its start.
    await expect(startReceiver({ PORT: new URL(sender.url).port })).rejects.toThrow('EADDRINUSE');
    await eventually(async () => {
      const clients = await sender.query(
        `SELECT FROM pg_stat_activity WHERE application_name LIKE 'printer%'`,
      );
      return clients.length === 0;
    }, 3_000);
    receiver = await startReceiver();
    await eventually(async () => (await readDone()).length >= 40, 15_000);
    expect(await readDone()).toEqual(listExpected(20));
  }, 60_000);

  it('notices that one queue is missing, although the consumers of the others declare it too', async () => {
    await receiver!.stop();
    await lose(pages.slice(20), [queues.events('printer')]);
    receiver = await startReceiver();
    await eventually(async () => (await readDone()).length >= 50, 15_000);
    expect(await readDone()).toEqual(listExpected(25));
  }, 60_000);

  it('sends them again once, also if sender and receiver start again', async () => {
    const readLast = async () =>
      (await sender.query<{ last: Date }>('SELECT max(published_at) AS last FROM outbox'))[0]!.last;
    await eventually(async () => (await sender.query('SELECT 1 FROM recovered_queue')).length > 0);
    const last = await readLast();
    await sender.restart();
    await receiver!.stop();
    receiver = await startReceiver();
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(await readLast()).toEqual(last);
    expect(await readDone()).toEqual(listExpected(25));
  }, 60_000);
});
