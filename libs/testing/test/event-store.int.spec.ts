import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { service, type Body } from '@jogakbo/contract';
import {
  aggregate,
  append,
  change,
  Consistency1700000000000,
  InboxSender1700000000100,
  erase,
  EventStore1700000000500,
  history,
  load,
  nothing,
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
import { eventually, ServiceUnderTest } from '../src/index.ts';

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
  announce: (potId, { sum }, { type }) => (type === 'added' ? Added({ potId, sum }) : undefined),
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
    await append(work, pot, potId, nothing, [{ type: 'opened', owner, note, limit: 1_000_000 }]);
  }

  @Handles(Add)
  async add({ potId, amount }: Body<typeof Add>, work: UnitOfWork) {
    const { sum } = await change(work, pot, potId, (): PotEvent[] => [{ type: 'added', amount }]);
    return { sum };
  }

  @Handles(ListPots)
  async list(_: Body<typeof ListPots>, _context: MessageContext) {
    await this.projector.caughtUp('sums', 20_000);
    const rows = (await this.dataSource.query('SELECT pot_id, sum FROM pot_sum')) as {
      pot_id: string;
      sum: number;
    }[];
    return { sums: Object.fromEntries(rows.map(({ pot_id, sum }) => [pot_id, sum])) };
  }
}

@Service({
  contract: pots,
  migrations: [Consistency1700000000000, InboxSender1700000000100, EventStore1700000000500],
  handlers: [PotHandler],
  projections: [sums],
})
class PotsModule {}

/** Busy machines take their time; what is shown must be right all the same. */
const patient = { timeout: 20_000 };

describe('the event store', () => {
  let potsService: ServiceUnderTest;
  let dataSource: DataSource;
  const opened = async (owner: string = randomUUID(), note = 'hello') => {
    const potId = randomUUID();
    await potsService.ask(Open, { potId, owner, note });
    return potId;
  };
  const read = (potId: string) => load(dataSource.manager, pot, potId);

  beforeAll(async () => {
    potsService = await ServiceUnderTest.start(PotsModule);
    dataSource = potsService.get(DataSource);
  });
  afterAll(() => potsService.stop());

  it('keeps what happened, and announces it', async () => {
    const potId = await opened();
    await expect(potsService.ask(Add, { potId, amount: 3 })).resolves.toEqual({ sum: 3 });
    const events = await history(dataSource.manager, pot, potId);
    expect(events.map(({ type }) => type)).toEqual(['opened', 'added']);
    await potsService.hears(Added, (data) => data.potId === potId && data.sum === 3);
  });

  it('has nothing to say of what never was', async () => {
    await expect(potsService.ask(Add, { potId: randomUUID(), amount: 1 })).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('lets 100 changes of one thing at once all happen, without a gap', async () => {
    const potId = await opened();
    await Promise.all(
      Array.from({ length: 100 }, () => potsService.ask(Add, { potId, amount: 1 }, { timeout: 20_000 })),
    );
    await expect(read(potId)).resolves.toMatchObject({ version: 101, state: { sum: 100 } });
  });

  it('refuses what was decided on an old version, with all else in the unit of work', async () => {
    const potId = await opened();
    const old = await read(potId);
    await potsService.ask(Add, { potId, amount: 1 });
    const units = potsService.get(UnitsOfWork);
    const other = randomUUID();
    const late = units.run(async (work) => {
      await append(work, pot, other, nothing, [{ type: 'opened', owner: 'o', note: '', limit: 1 }]);
      await append(work, pot, potId, old, [{ type: 'added', amount: 5 }]);
    });
    await expect(late).rejects.toMatchObject({ name: 'VersionConflict' });
    await expect(read(potId)).resolves.toMatchObject({ state: { sum: 1 } });
    await expect(read(other)).resolves.toEqual(nothing);
  });

  it('says so too where the handler reads on after it', async () => {
    const potId = await opened();
    const old = await read(potId);
    await potsService.ask(Add, { potId, amount: 1 });
    const late = potsService.get(UnitsOfWork).run(async (work) => {
      await append(work, pot, potId, old, [{ type: 'added', amount: 5 }]);
      await work.tx.query('SELECT 1');
    });
    await expect(late).rejects.toMatchObject({ name: 'VersionConflict' });
  });

  it('reads a snapshot and what came after; without it the same', async () => {
    const potId = await opened();
    for (let i = 0; i < 14; i++) await potsService.ask(Add, { potId, amount: 2 });
    const whole = await read(potId);
    expect(whole).toMatchObject({ version: 15, state: { sum: 28 } });
    // Proof that it is used: an event before it is not read any more.
    await dataSource.query(`UPDATE event SET data = '{"amount": 1000}' WHERE subject = $1 AND version = 3`, [
      potId,
    ]);
    await expect(read(potId)).resolves.toEqual(whole);
    await dataSource.query(`UPDATE event SET data = '{"amount": 2}' WHERE subject = $1 AND version = 3`, [
      potId,
    ]);
    await dataSource.query('DELETE FROM snapshot WHERE subject = $1', [potId]);
    await expect(read(potId)).resolves.toEqual(whole);
  });

  it('brings events of an older shape to the shape of today', async () => {
    const potId = randomUUID();
    await dataSource.query(
      `INSERT INTO event (stream, subject, version, type, revision, data) VALUES ('pot', $1, 1, 'opened', 1, '{"owner":"o","note":"n"}')`,
      [potId],
    );
    await expect(read(potId)).resolves.toMatchObject({ state: { limit: 1_000_000, note: 'n' } });
    const today = await opened();
    const rows = await potsService.query('SELECT revision FROM event WHERE subject = $1', [today]);
    expect(rows).toEqual([{ revision: 2 }]);
  });

  it('stores personal data closed, and cannot open it once its key is gone', async () => {
    const [kim, lee] = [randomUUID(), randomUUID()];
    const ofKim = await opened(kim, '비밀 of Kim');
    const ofLee = await opened(lee, '비밀 of Lee');
    const stored = JSON.stringify(await potsService.query('SELECT * FROM event'));
    expect(stored).not.toContain('비밀');
    await expect(read(ofKim)).resolves.toMatchObject({ state: { note: '비밀 of Kim' } });
    await potsService.get(UnitsOfWork).run(({ tx }) => erase(tx, kim));
    await expect(read(ofKim)).resolves.toMatchObject({ state: { owner: kim, note: 'erased' } });
    await expect(read(ofLee)).resolves.toMatchObject({ state: { note: '비밀 of Lee' } });
  });

  describe('a projection', () => {
    const readRows = () =>
      potsService.query('SELECT * FROM pot_sum ORDER BY pot_id') as Promise<{ seen: number | null }[]>;
    const readPlace = async () =>
      (await potsService.query('SELECT generation, next_generation, fault FROM projection'))[0] as {
        generation: number;
        next_generation: number | null;
      };

    it('shows whoever asks his own change', async () => {
      for (let i = 1; i <= 20; i++) {
        const potId = await opened();
        await potsService.ask(Add, { potId, amount: i });
        const { sums } = await potsService.ask(ListPots, {}, patient);
        expect(sums[potId]).toBe(i);
      }
    });

    it('hears of other services, once', async () => {
      const place = randomUUID();
      await potsService.announce(Rained({ place, drops: 4 }));
      await eventually(async () => (await potsService.ask(ListPots, {}, patient)).sums[place] === 4);
    });

    it('is built again while the service goes on, to the same rows and without a gap', async () => {
      const potId = await opened();
      let over = false;
      const added: Promise<unknown>[] = [];
      const writing = (async () => {
        while (!over) {
          added.push(potsService.ask(Add, { potId, amount: 1 }, patient));
          await added.at(-1);
        }
      })();
      const seen: number[] = [];
      const reading = (async () => {
        while (!over) seen.push((await potsService.ask(ListPots, {}, patient)).sums[potId] ?? -1);
      })();
      // More than a few batches, so that it takes a while.
      await potsService.query(
        `INSERT INTO event (stream, subject, version, type, data)
         SELECT 'pot', 'old ' || n % 10, n / 10 + 1, 'added', '{"amount": 1}' FROM generate_series(0, 1499) AS n`,
      );
      const { generation } = await readPlace();
      await requestRebuild(dataSource.manager, 'sums');
      await eventually(async () => (await readPlace()).generation === generation + 1, 25_000);
      over = true;
      await Promise.all([writing, reading]);
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
      await potsService.ask(ListPots, {}, patient);
      const before = await readRows();
      expect(before).toContainEqual(expect.objectContaining({ pot_id: potId, sum: added.length }));
      expect(before.filter(({ seen }) => seen === null)).toEqual([]); // no version was left out or inverted

      await requestRebuild(dataSource.manager, 'sums');
      await eventually(async () => (await readPlace()).generation === generation + 2, 25_000);
      expect(await readRows()).toEqual(before);
      const schemas = await potsService.query(`SELECT nspname FROM pg_namespace WHERE nspname LIKE 'sums%'`);
      expect(schemas).toEqual([{ nspname: `sums_${generation + 2}` }]);
    });

    it('does not step over what is committed late', async () => {
      const units = potsService.get(UnitsOfWork);
      const open = (potId: string, work: UnitOfWork) =>
        append(work, pot, potId, nothing, [{ type: 'opened', owner: potId, note: '', limit: 1 }]);
      const late = randomUUID();
      const early: string[] = [];
      await units.run(async (work) => {
        await open(late, work);
        // First alone: the youngest of all transactions, then the oldest of many.
        await new Promise((resolve) => setTimeout(resolve, 600));
        for (let i = 0; i < 20; i++) {
          early.push(randomUUID());
          await units.run((other) => open(early.at(-1)!, other));
        }
        await new Promise((resolve) => setTimeout(resolve, 300));
      });
      const { sums } = await potsService.ask(ListPots, {}, patient);
      expect(Object.keys(sums)).toEqual(expect.arrayContaining([late, ...early]));
    });

    it('goes on with another instance', async () => {
      const second = await potsService.startAnother();
      await potsService.restart();
      dataSource = potsService.get(DataSource);
      const potId = await opened();
      await potsService.ask(Add, { potId, amount: 9 });
      await eventually(async () => (await potsService.ask(ListPots, {}, patient)).sums[potId] === 9);
      await second.stop();
    });
  });
});
