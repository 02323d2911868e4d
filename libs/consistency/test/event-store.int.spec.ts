import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { service, type Body } from '@jogakbo/contract';
import {
  aggregate,
  append,
  change,
  consistencyMigrations,
  erase,
  eventStoreMigrations,
  history,
  load,
  noEvents,
  projection,
  Projector,
  requestRebuild,
  UnitsOfWork,
  type UnitOfWork,
} from '@jogakbo/consistency';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Service } from '@jogakbo/service';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';

const pots = service('pots');
const Pot = z.strictObject({ potId: z.string() });
const Add = pots.command('add', {
  input: Pot.extend({ amount: z.int() }),
  output: z.object({ sum: z.int() }),
});
const Open = pots.command('open', { input: Pot.extend({ owner: z.string(), note: z.string() }) });
const ListPots = pots.query('list', {
  input: z.strictObject({}),
  output: z.object({ sums: z.record(z.string(), z.int()) }),
});
const Added = pots.event('added', z.object({ potId: z.string(), sum: z.int() }), { subject: 'potId' });
const Rained = service('sky').event('rained', z.object({ place: z.string(), drops: z.int() }), {
  subject: 'place',
});

type PotEvent =
  { type: 'opened'; owner: string; note: string; limit: number } | { type: 'added'; amount: number };
interface PotState {
  owner: string;
  note: string;
  limit: number;
  sum: number;
}

const pot = aggregate<PotState, PotEvent>('pot', {
  evolve(state, event) {
    if (event.type === 'opened') return { owner: event.owner, note: event.note, limit: event.limit, sum: 0 };
    return { ...state!, sum: state!.sum + event.amount };
  },
  toPublicEvent: (potId, { sum }, { type }) => (type === 'added' ? Added({ potId, sum }) : undefined),
  upcast: { opened: [(old) => ({ ...old, limit: 1_000_000 })] },
  personal: { opened: { of: ({ owner }) => owner, fields: { note: 'erased' } } },
  snapshot: { every: 10, shape: 1 },
});

const sums = projection(
  'sums',
  1,
  'CREATE TABLE pot_sum (pot_id text PRIMARY KEY, sum integer NOT NULL, seen integer NOT NULL)',
)
  .of(pot, async (tx, { id, version, event }) => {
    await tx.query(
      `INSERT INTO pot_sum AS old VALUES ($1, $2, $3)
       ON CONFLICT (pot_id) DO UPDATE SET sum = old.sum + $2, seen = CASE WHEN old.seen = $3 - 1 THEN $3 END`,
      [id, event.type === 'added' ? event.amount : 0, version],
    );
  })
  .on(Rained, async (tx, { place, drops }) => {
    await tx.query(
      'INSERT INTO pot_sum VALUES ($1, $2, 0) ON CONFLICT (pot_id) DO UPDATE SET sum = pot_sum.sum + $2',
      [place, drops],
    );
  });

@Controller()
class PotHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly projector: Projector,
  ) {}

  @Handles(Open)
  async open({ potId, owner, note }: Body<typeof Open>, work: UnitOfWork) {
    await append(work, pot, potId, noEvents, [{ type: 'opened', owner, note, limit: 1_000_000 }]);
  }

  @Handles(Add)
  async add({ potId, amount }: Body<typeof Add>, work: UnitOfWork) {
    const { sum } = await change(work, pot, potId, (): PotEvent[] => [{ type: 'added', amount }]);
    return { sum };
  }

  @Handles(ListPots)
  async list(_: Body<typeof ListPots>, _context: MessageContext) {
    await this.projector.waitUntilCurrent('sums', 20_000);
    const rows = (await this.dataSource.query('SELECT pot_id, sum FROM pot_sum')) as {
      pot_id: string;
      sum: number;
    }[];
    return { sums: Object.fromEntries(rows.map(({ pot_id, sum }) => [pot_id, sum])) };
  }
}

@Service({
  contract: pots,
  migrations: [...consistencyMigrations, ...eventStoreMigrations],
  handlers: [PotHandler],
  projections: [sums],
})
class PotsModule {}

/** A long timeout for slow machines. */
const longTimeout = { timeout: 20_000 };

describe('the event store', () => {
  let potsService: ServiceUnderTest;
  let dataSource: DataSource;
  const openPot = async (owner: string = randomUUID(), note = 'hello') => {
    const potId = randomUUID();
    await potsService.ask(Open, { potId, owner, note });
    return potId;
  };
  const loadPot = (potId: string) => load(dataSource.manager, pot, potId);

  beforeAll(async () => {
    potsService = await ServiceUnderTest.start(PotsModule);
    dataSource = potsService.get(DataSource);
  });
  afterAll(() => potsService.stop());

  it('stores events and publishes them', async () => {
    const potId = await openPot();
    await expect(potsService.ask(Add, { potId, amount: 3 })).resolves.toEqual({ sum: 3 });
    const events = await history(dataSource.manager, pot, potId);
    expect(events.map(({ type }) => type)).toEqual(['opened', 'added']);
    await potsService.waitForEvent(Added, (data) => data.potId === potId && data.sum === 3);
  });

  it('rejects a change of an unknown aggregate', async () => {
    await expect(potsService.ask(Add, { potId: randomUUID(), amount: 1 })).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('applies 100 concurrent changes of one aggregate without gaps', async () => {
    const potId = await openPot();
    await Promise.all(
      Array.from({ length: 100 }, () => potsService.ask(Add, { potId, amount: 1 }, { timeout: 20_000 })),
    );
    await expect(loadPot(potId)).resolves.toMatchObject({ version: 101, state: { sum: 100 } });
  });

  it('rejects a change based on an old version, and rolls back the unit of work', async () => {
    const potId = await openPot();
    const old = await loadPot(potId);
    await potsService.ask(Add, { potId, amount: 1 });
    const units = potsService.get(UnitsOfWork);
    const other = randomUUID();
    const late = units.run(async (work) => {
      await append(work, pot, other, noEvents, [{ type: 'opened', owner: 'o', note: '', limit: 1 }]);
      await append(work, pot, potId, old, [{ type: 'added', amount: 5 }]);
    });
    await expect(late).rejects.toMatchObject({ name: 'VersionConflict' });
    await expect(loadPot(potId)).resolves.toMatchObject({ state: { sum: 1 } });
    await expect(loadPot(other)).resolves.toEqual(noEvents);
  });

  it('reports the conflict even if the handler continues to read', async () => {
    const potId = await openPot();
    const old = await loadPot(potId);
    await potsService.ask(Add, { potId, amount: 1 });
    const late = potsService.get(UnitsOfWork).run(async (work) => {
      await append(work, pot, potId, old, [{ type: 'added', amount: 5 }]);
      await work.tx.query('SELECT 1');
    });
    await expect(late).rejects.toMatchObject({ name: 'VersionConflict' });
  });

  it('loads a snapshot and later events, with the same result as without it', async () => {
    const potId = await openPot();
    for (let i = 0; i < 14; i++) await potsService.ask(Add, { potId, amount: 2 });
    const whole = await loadPot(potId);
    expect(whole).toMatchObject({ version: 15, state: { sum: 28 } });
    // Proves that the snapshot is used: earlier events are not read.
    await dataSource.query(`UPDATE event SET data = '{"amount": 1000}' WHERE subject = $1 AND version = 3`, [
      potId,
    ]);
    await expect(loadPot(potId)).resolves.toEqual(whole);
    await dataSource.query(`UPDATE event SET data = '{"amount": 2}' WHERE subject = $1 AND version = 3`, [
      potId,
    ]);
    await dataSource.query('DELETE FROM snapshot WHERE subject = $1', [potId]);
    await expect(loadPot(potId)).resolves.toEqual(whole);
  });

  it('upcasts events of an older revision', async () => {
    const potId = randomUUID();
    await dataSource.query(
      `INSERT INTO event (stream, subject, version, type, revision, data) VALUES ('pot', $1, 1, 'opened', 1, '{"owner":"o","note":"n"}')`,
      [potId],
    );
    await expect(loadPot(potId)).resolves.toMatchObject({ state: { limit: 1_000_000, note: 'n' } });
    const today = await openPot();
    const rows = await potsService.query('SELECT revision FROM event WHERE subject = $1', [today]);
    expect(rows).toEqual([{ revision: 2 }]);
  });

  it('encrypts personal data, and cannot decrypt it after its key is erased', async () => {
    const [kim, lee] = [randomUUID(), randomUUID()];
    const ofKim = await openPot(kim, '비밀 of Kim');
    const ofLee = await openPot(lee, '비밀 of Lee');
    const stored = JSON.stringify(await potsService.query('SELECT * FROM event'));
    expect(stored).not.toContain('비밀');
    await expect(loadPot(ofKim)).resolves.toMatchObject({ state: { note: '비밀 of Kim' } });
    await potsService.get(UnitsOfWork).run(({ tx }) => erase(tx, kim));
    await expect(loadPot(ofKim)).resolves.toMatchObject({ state: { owner: kim, note: 'erased' } });
    await expect(loadPot(ofLee)).resolves.toMatchObject({ state: { note: '비밀 of Lee' } });
  });

  it('keeps what was erased unreadable when the same person gets a new key', async () => {
    const kim = randomUUID();
    const before = await openPot(kim, 'before');
    // An instance of the previous version stores no key id.
    await potsService.query('UPDATE event SET personal_key_id = NULL WHERE subject = $1', [before]);
    await expect(loadPot(before)).resolves.toMatchObject({ state: { note: 'before' } });
    const eraseKim = () => potsService.get(UnitsOfWork).run(({ tx }) => erase(tx, kim));
    await eraseKim();
    const after = await openPot(kim, 'after');
    await expect(loadPot(before)).resolves.toMatchObject({ state: { note: 'erased' } });
    await expect(loadPot(after)).resolves.toMatchObject({ state: { note: 'after' } });
    const { sums } = await potsService.ask(ListPots, {}, longTimeout);
    expect(sums).toMatchObject({ [before]: 0, [after]: 0 });
    await eraseKim();
    await expect(loadPot(after)).resolves.toMatchObject({ state: { note: 'erased' } });
  });

  describe('a projection', () => {
    const readRows = () =>
      potsService.query('SELECT * FROM pot_sum ORDER BY pot_id') as Promise<{ seen: number | null }[]>;
    const readProgress = async () =>
      (await potsService.query('SELECT generation, next_generation, fault FROM projection'))[0] as {
        generation: number;
        next_generation: number | null;
      };

    it('shows a caller its own changes', async () => {
      for (let i = 1; i <= 20; i++) {
        const potId = await openPot();
        await potsService.ask(Add, { potId, amount: i });
        const { sums } = await potsService.ask(ListPots, {}, longTimeout);
        expect(sums[potId]).toBe(i);
      }
    });

    it('handles events of other services once', async () => {
      const place = randomUUID();
      await potsService.announce(Rained({ place, drops: 4 }));
      await eventually(async () => (await potsService.ask(ListPots, {}, longTimeout)).sums[place] === 4);
    });

    it('is rebuilt while the service runs, to the same rows and without gaps', async () => {
      const potId = await openPot();
      let over = false;
      const added: Promise<unknown>[] = [];
      const writing = (async () => {
        while (!over) {
          added.push(potsService.ask(Add, { potId, amount: 1 }, longTimeout));
          await added.at(-1);
        }
      })();
      const seen: number[] = [];
      const reading = (async () => {
        while (!over) seen.push((await potsService.ask(ListPots, {}, longTimeout)).sums[potId] ?? -1);
      })();
      // Several batches, so that the rebuild takes some time.
      await potsService.query(
        `INSERT INTO event (stream, subject, version, type, data)
         SELECT 'pot', 'old ' || n % 10, n / 10 + 1, 'added', '{"amount": 1}' FROM generate_series(0, 1499) AS n`,
      );
      const { generation } = await readProgress();
      await requestRebuild(dataSource.manager, 'sums');
      await eventually(async () => (await readProgress()).generation === generation + 1, 25_000);
      over = true;
      await Promise.all([writing, reading]);
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
      await potsService.ask(ListPots, {}, longTimeout);
      const before = await readRows();
      expect(before).toContainEqual(expect.objectContaining({ pot_id: potId, sum: added.length }));
      expect(before.filter(({ seen }) => seen === null)).toEqual([]); // no version was skipped or out of order

      await requestRebuild(dataSource.manager, 'sums');
      await eventually(async () => (await readProgress()).generation === generation + 2, 25_000);
      expect(await readRows()).toEqual(before);
      // The previous generation is dropped after the switch.
      const list = () => potsService.query(`SELECT nspname FROM pg_namespace WHERE nspname LIKE 'sums%'`);
      await eventually(async () => (await list()).length === 1);
      expect(await list()).toEqual([{ nspname: `sums_${generation + 2}` }]);
    });

    it('skips no event with a late commit', async () => {
      const units = potsService.get(UnitsOfWork);
      const open = (potId: string, work: UnitOfWork) =>
        append(work, pot, potId, noEvents, [{ type: 'opened', owner: potId, note: '', limit: 1 }]);
      const late = randomUUID();
      const early: string[] = [];
      await units.run(async (work) => {
        await open(late, work);
        // First the only open transaction, then the oldest of many.
        await new Promise((resolve) => setTimeout(resolve, 600));
        for (let i = 0; i < 20; i++) {
          early.push(randomUUID());
          await units.run((other) => open(early.at(-1)!, other));
        }
        await new Promise((resolve) => setTimeout(resolve, 300));
      });
      const { sums } = await potsService.ask(ListPots, {}, longTimeout);
      expect(Object.keys(sums)).toEqual(expect.arrayContaining([late, ...early]));
    });

    it('continues with another instance', async () => {
      const second = await potsService.startAnother();
      await potsService.restart();
      dataSource = potsService.get(DataSource);
      const potId = await openPot();
      await potsService.ask(Add, { potId, amount: 9 });
      await eventually(async () => (await potsService.ask(ListPots, {}, longTimeout)).sums[potId] === 9);
      await second.stop();
    });
  });
});
