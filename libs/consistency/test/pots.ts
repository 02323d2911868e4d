import { service, type Body } from '@jogakbo/contract';
import {
  aggregate,
  append,
  change,
  consistencyMigrations,
  eventStoreMigrations,
  noEvents,
  projection,
  Projector,
  type UnitOfWork,
} from '@jogakbo/consistency';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Service } from '@jogakbo/service';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { z } from 'zod';

const pots = service('pots');
const Pot = z.strictObject({ potId: z.string() });
export const Add = pots.command('add', {
  input: Pot.extend({ amount: z.int() }),
  output: z.object({ sum: z.int() }),
});
export const Open = pots.command('open', { input: Pot.extend({ owner: z.string(), note: z.string() }) });
export const ListPots = pots.query('list', {
  input: z.strictObject({}),
  output: z.object({ sums: z.record(z.string(), z.int()) }),
});
export const Added = pots.event('added', z.object({ potId: z.string(), sum: z.int() }), { subject: 'potId' });
export const Rained = service('sky').event('rained', z.object({ place: z.string(), drops: z.int() }), {
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

export const pot = aggregate<PotState, PotEvent>('pot', {
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
export class PotsModule {}

/** A long timeout for slow machines. */
export const longTimeout = { timeout: 20_000 };
