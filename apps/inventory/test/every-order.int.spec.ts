import { randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { UnitsOfWork, type UnitOfWork } from '@jogakbo/consistency';
import { choices, interleavings } from '@jogakbo/testing';
import { CommitStockHandler } from '../src/commit-stock.ts';
import { ExpireReservationHandler } from '../src/expire-reservation.ts';
import { ReserveStockHandler } from '../src/reserve-stock.ts';
import { ReturnStockHandler } from '../src/return-stock.ts';
import { Shelves } from './shelves.ts';

type Command = 'reserve' | 'commit' | 'return' | 'expire';

/** `run`: is handled. `crash`: fails when all is written and nothing committed. `again`: an equal message under another id. */
type How = 'run' | 'crash' | 'again';
type Step = `${Command}: ${How}`;

const crashing: How[][] = [['run'], ['crash', 'run']];
const repeated: How[][] = [...crashing, ['run', 'again']];

const buildSchedules = (commands: Command[], fates: How[][]): Step[][] =>
  choices(
    commands.map((command) => fates.map((steps) => steps.map((how): Step => `${command}: ${how}`))),
  ).flatMap(interleavings);

const all: Command[] = ['reserve', 'commit', 'return', 'expire'];
const pairs = all.flatMap((one, at) => all.slice(at + 1).map((other) => [one, other]));
const triples = all.map((missing) => all.filter((one) => one !== missing));
/** All four, each once. */
const four = interleavings(all.map((command): Step[] => [`${command}: run`]));

class Crash extends Error {}

interface Case {
  orderId: string;
  productId: string;
  steps: Step[];
}

const pieces = 3;
const wanted = 2;

describe('inventory, in every order and with a crash before every commit', () => {
  let shelves: Shelves;
  let units: UnitsOfWork;

  beforeAll(async () => {
    shelves = await Shelves.open({ DATABASE_POOL: '12' });
    units = shelves.inventory.get(UnitsOfWork);
  });
  afterAll(() => shelves.inventory.stop());

  async function handle(command: Command, { orderId, productId }: Case, work: UnitOfWork): Promise<void> {
    const { inventory } = shelves;
    if (command === 'reserve') {
      const lines = [{ productId, quantity: wanted }];
      return inventory.get(ReserveStockHandler).handle({ orderId, lines }, work);
    }
    if (command === 'commit') return inventory.get(CommitStockHandler).handle({ orderId }, work);
    if (command === 'return') return inventory.get(ReturnStockHandler).handle({ orderId }, work);
    await work.tx.query('UPDATE reservation SET expires_at = now() WHERE order_id = $1', [orderId]);
    return inventory.get(ExpireReservationHandler).handle({ orderId }, work);
  }

  /** Runs one schedule, then redelivers what failed, as the retry queue does. */
  async function play(one: Case): Promise<void> {
    const open = new Set<Command>();
    const deliver = (command: Command, crashes = false) =>
      units
        .run(async (work) => {
          await handle(command, one, work);
          if (crashes) throw new Crash();
        }, one.orderId)
        .then(
          () => void open.delete(command),
          () => void open.add(command),
        );
    for (const step of one.steps) {
      const [command, how] = step.split(': ') as [Command, How];
      await deliver(command, how === 'crash');
    }
    for (let round = 0; round < 3 && open.size > 0; round++)
      for (const command of [...open]) await deliver(command);
  }

  async function playAll(schedules: Step[][]): Promise<Case[]> {
    const productIds = await shelves.products(schedules.length, pieces);
    const cases = schedules.map((steps, at): Case => ({
      orderId: randomUUIDv7(),
      productId: productIds[at]!,
      steps,
    }));
    const waiting = [...cases];
    const players = Array.from({ length: 12 }, async () => {
      for (let next = waiting.pop(); next; next = waiting.pop()) await play(next);
    });
    await Promise.all(players);
    return cases;
  }

  interface End {
    status: string | null;
    onHand: number;
    told: string[];
  }

  const runCases = (cases: Case[]): Promise<End[]> =>
    shelves.inventory.query<End>(
      `SELECT reservation.status, on_hand::int AS "onHand",
         (SELECT coalesce(json_agg(replace(name, 'inventory.', '') ORDER BY id), '[]') FROM outbox
          WHERE data->>'orderId' = wanted.order_id::text AND kind = 'event') AS told
       FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS wanted (order_id, product_id, at)
       JOIN stock USING (product_id) LEFT JOIN reservation USING (order_id) ORDER BY at`,
      [cases.map(({ orderId }) => orderId), cases.map(({ productId }) => productId)],
    );

  /** Which announcements lead to which end, in this order and each once. */
  const truths: Record<string, RegExp> = {
    held: /^stock-reserved$/,
    sold: /^stock-reserved( reservation-expired)? stock-committed$/,
    expired: /^stock-reserved reservation-expired$/,
    // Where nothing is held when it comes back, there is nothing to tell.
    returned:
      /^(stock-reserved (stock-committed |reservation-expired stock-committed )?stock-returned|stock-reserved reservation-expired)?$/,
    null: /^$/,
  };

  function isRight({ steps }: Case, { status, onHand, told }: End): boolean {
    const came = (command: Command) => steps.some((step) => step.startsWith(command));
    const ends: (string | null)[] = came('return')
      ? ['returned']
      : !came('reserve')
        ? [null]
        : came('commit')
          ? ['sold']
          : came('expire')
            ? // The timer may have come before the reservation: that one sets another.
              ['expired', 'held']
            : ['held'];
    const takes = status === 'held' || status === 'sold' ? wanted : 0;
    return ends.includes(status) && onHand === pieces - takes && truths[String(status)]!.test(told.join(' '));
  }

  it.each<[string, Step[][]]>([
    ['two messages', pairs.flatMap((commands) => buildSchedules(commands, repeated))],
    ['three messages', triples.flatMap((commands) => buildSchedules(commands, crashing))],
    ['four messages', four],
  ])(
    'keeps its counts and announces nothing untrue: %s',
    async (_, schedules) => {
      const cases = await playAll(schedules);
      const ends = await runCases(cases);
      const wrong = cases.flatMap((one, at) => {
        const { status, onHand, told } = ends[at]!;
        if (isRight(one, ends[at]!)) return [];
        return [`${one.steps.join(', ')}: ${status}, ${onHand} on hand, announced: ${told.join(' ')}`];
      });
      expect(wrong).toEqual([]);
      expect(await shelves.wrong()).toEqual([]);
    },
    120_000,
  );
});
