import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { consistencyMigrations, type UnitOfWork } from '@jogakbo/consistency';
import { Rejection, service, type Body } from '@jogakbo/contract';
import { Handles } from '@jogakbo/messaging';
import { Service } from '@jogakbo/service';
import { Controller } from '@nestjs/common';
import { type MigrationInterface, type QueryRunner } from 'typeorm';
import { z } from 'zod';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';

const meter = service('meter');
const Read = z.strictObject({ meter: z.string(), by: z.int() });
/** Without a subject: changes of one meter run concurrently. */
const Count = meter.command('count', {
  input: Read,
  output: z.object({ value: z.int() }),
  rejections: { 'lost-race': 409 },
});
const Tick = meter.command('tick', { input: Read });
const Pulse = service('clock').event('pulse', Read);

class Tables1700000001000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE meter (meter text PRIMARY KEY, value int NOT NULL DEFAULT 0, version int NOT NULL DEFAULT 0);
      CREATE TABLE effect (meter text NOT NULL, by int NOT NULL)`);
  }
  async down(): Promise<void> {}
}

@Controller()
class MeterHandler {
  /** Reads, computes, writes: concurrent updates must not be lost. */
  @Handles(Count)
  async count({ meter, by }: Body<typeof Count>, { tx }: UnitOfWork) {
    const [before] = (await tx.query('SELECT value, version FROM meter WHERE meter = $1', [meter])) as [
      { value: number; version: number },
    ];
    const value = before.value + by;
    const [, changed] = (await tx.query(
      'UPDATE meter SET value = $2, version = version + 1 WHERE meter = $1 AND version = $3',
      [meter, value, before.version],
    )) as [unknown, number];
    if (changed === 0) throw Count.reject('lost-race', 'another change was faster');
    return { value };
  }

  @Handles(Tick)
  async tick({ meter, by }: Body<typeof Tick>, { tx }: UnitOfWork) {
    await tx.query('INSERT INTO effect VALUES ($1, $2)', [meter, by]);
  }

  @Handles(Pulse)
  async pulse({ meter, by }: Body<typeof Pulse>, { tx }: UnitOfWork) {
    await tx.query('INSERT INTO effect VALUES ($1, $2)', [meter, by]);
  }
}

@Service({
  contract: meter,
  migrations: [...consistencyMigrations, Tables1700000001000],
  handlers: [MeterHandler],
})
class MeterModule {}

describe('effects, with two instances', () => {
  let meters: ServiceUnderTest;
  let other: { stop(): Promise<void> };

  beforeAll(async () => {
    meters = await ServiceUnderTest.start(MeterModule);
    other = await meters.startAnother();
  });
  afterAll(async () => {
    await other?.stop();
    await meters?.stop();
  });

  it('500 concurrent changes of one row: every accepted change has its effect, the others are rejected', async () => {
    const name = randomUUID();
    await meters.query('INSERT INTO meter (meter) VALUES ($1)', [name]);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 500 }, () => meters.ask(Count, { meter: name, by: 1 }, { timeout: 25_000 })),
    );
    const accepted = outcomes.filter(({ status }) => status === 'fulfilled').length;
    const refused = outcomes.filter(
      (one) =>
        one.status === 'rejected' && one.reason instanceof Rejection && one.reason.code === 'lost-race',
    ).length;
    const [{ value, version }] = (await meters.query('SELECT value, version FROM meter WHERE meter = $1', [
      name,
    ])) as [{ value: number; version: number }];
    expect({ value, version, all: accepted + refused }).toEqual({
      value: accepted,
      version: accepted,
      all: 500,
    });
    expect(accepted).toBeGreaterThan(0);
    // Otherwise nothing ran concurrently, and the test proves nothing.
    expect(refused).toBeGreaterThan(0);
  });

  it.each([
    ['commands', (name: string, by: number, id: string) => meters.send(Tick({ meter: name, by }), id)],
    ['events', (name: string, by: number, id: string) => meters.announce(Pulse({ meter: name, by }), id)],
  ])('20 %% of 1,000 %s arrive twice: exactly one effect each', async (_kind, send) => {
    const name = randomUUID();
    const messages = Array.from({ length: 1_000 }, (_, by) => ({ by, id: randomUUID() as string }));
    const withDuplicates = messages.flatMap((one) => (one.by % 5 === 0 ? [one, one] : [one]));
    // Some duplicates arrive at the same time, some much later.
    const late = withDuplicates.splice(600, 1).concat(messages.filter(({ by }) => by % 50 === 0));
    await Promise.all(withDuplicates.map(({ by, id }) => send(name, by, id)));
    await Promise.all(late.map(({ by, id }) => send(name, by, id)));
    const effects = async () =>
      (await meters.query<{ by: number }>('SELECT by FROM effect WHERE meter = $1 ORDER BY by', [name])).map(
        ({ by }) => by,
      );
    await eventually(async () => (await effects()).length >= 1_000, 20_000);
    // Time for unexpected effects.
    await sleep(500);
    expect(await effects()).toEqual(messages.map(({ by }) => by));
  });
});
