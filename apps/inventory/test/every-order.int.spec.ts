import { randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { UnitsOfWork, type UnitOfWork } from '@jogakbo/consistency';
import { cartesianProduct, interleavings } from '@jogakbo/testing';
import { sampleCases } from '@jogakbo/testing/full-runs';
import { CommitStockHandler } from '../src/commit-stock.ts';
import { ExpireReservationHandler } from '../src/expire-reservation.ts';
import { ReserveStockHandler } from '../src/reserve-stock.ts';
import { ReturnStockHandler } from '../src/return-stock.ts';
import { InventoryFixture } from './shelves.ts';

type Command = 'reserve' | 'commit' | 'return' | 'expire';

/** `run`: is handled. `crash`: fails before the commit. `again`: an equal message with another id. */
type Action = 'run' | 'crash' | 'again';
type Step = `${Command}: ${Action}`;

const runOrCrash: Action[][] = [['run'], ['crash', 'run']];
const repeated: Action[][] = [...runOrCrash, ['run', 'again']];

const buildSchedules = (commands: Command[], actionLists: Action[][]): Step[][] =>
  cartesianProduct(
    commands.map((command) =>
      actionLists.map((steps) => steps.map((action): Step => `${command}: ${action}`)),
    ),
  ).flatMap(interleavings);

const all: Command[] = ['reserve', 'commit', 'return', 'expire'];
const pairs = all.flatMap((one, at) => all.slice(at + 1).map((other) => [one, other]));
const triples = all.map((missing) => all.filter((one) => one !== missing));
/** All four messages, each once. */
const four = interleavings(all.map((command): Step[] => [`${command}: run`]));

class Crash extends Error {}

interface Case {
  orderId: string;
  productId: string;
  steps: Step[];
}

const pieces = 3;
const wanted = 2;

describe('inventory, in every message order and with a crash before every commit', () => {
  let fixture: InventoryFixture;
  let units: UnitsOfWork;

  beforeAll(async () => {
    fixture = await InventoryFixture.start({ DATABASE_POOL: '12' });
    units = fixture.inventory.get(UnitsOfWork);
  });
  afterAll(() => fixture.inventory.stop());

  async function handle(command: Command, { orderId, productId }: Case, work: UnitOfWork): Promise<void> {
    const { inventory } = fixture;
    if (command === 'reserve') {
      const lines = [{ productId, quantity: wanted }];
      return inventory.get(ReserveStockHandler).handle({ orderId, lines }, work);
    }
    if (command === 'commit') return inventory.get(CommitStockHandler).handle({ orderId }, work);
    if (command === 'return') return inventory.get(ReturnStockHandler).handle({ orderId }, work);
    await work.tx.query('UPDATE reservation SET expires_at = now() WHERE order_id = $1', [orderId]);
    return inventory.get(ExpireReservationHandler).handle({ orderId }, work);
  }

  /** Runs one schedule, then redelivers failed messages, as the retry queue does. */
  async function runCase(one: Case): Promise<void> {
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
      const [command, action] = step.split(': ') as [Command, Action];
      await deliver(command, action === 'crash');
    }
    for (let round = 0; round < 3 && open.size > 0; round++)
      for (const command of [...open]) await deliver(command);
  }

  async function runCases(schedules: Step[][]): Promise<Case[]> {
    const productIds = await fixture.insertProducts(schedules.length, pieces);
    const cases = schedules.map((steps, at): Case => ({
      orderId: randomUUIDv7(),
      productId: productIds[at]!,
      steps,
    }));
    const waiting = [...cases];
    const workers = Array.from({ length: 12 }, async () => {
      for (let next = waiting.pop(); next; next = waiting.pop()) await runCase(next);
    });
    await Promise.all(workers);
    return cases;
  }

  interface Outcome {
    status: string | null;
    onHand: number;
    published: string[];
  }

  const readOutcomes = (cases: Case[]): Promise<Outcome[]> =>
    fixture.inventory.query<Outcome>(
      `SELECT reservation.status, on_hand::int AS "onHand",
         (SELECT coalesce(json_agg(replace(name, 'inventory.', '') ORDER BY id), '[]') FROM outbox
          WHERE data->>'orderId' = wanted.order_id::text AND kind = 'event') AS published
       FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS wanted (order_id, product_id, at)
       JOIN stock USING (product_id) LEFT JOIN reservation USING (order_id) ORDER BY at`,
      [cases.map(({ orderId }) => orderId), cases.map(({ productId }) => productId)],
    );

  /** The events allowed for each final status, in order and each once. */
  const allowedEvents: Record<string, RegExp> = {
    held: /^stock-reserved$/,
    sold: /^stock-reserved( reservation-expired)? stock-committed$/,
    expired: /^stock-reserved reservation-expired$/,
    // A return publishes nothing if the order holds nothing.
    returned:
      /^(stock-reserved (stock-committed |reservation-expired stock-committed )?stock-returned|stock-reserved reservation-expired)?$/,
    null: /^$/,
  };

  function isRight({ steps }: Case, { status, onHand, published }: Outcome): boolean {
    const includes = (command: Command) => steps.some((step) => step.startsWith(command));
    const ends: (string | null)[] = includes('return')
      ? ['returned']
      : !includes('reserve')
        ? [null]
        : includes('commit')
          ? ['sold']
          : includes('expire')
            ? // The timer may fire before the reservation, which then starts another one.
              ['expired', 'held']
            : ['held'];
    const takes = status === 'held' || status === 'sold' ? wanted : 0;
    return (
      ends.includes(status) &&
      onHand === pieces - takes &&
      allowedEvents[String(status)]!.test(published.join(' '))
    );
  }

  it.each<[string, Step[][]]>([
    ['two messages', pairs.flatMap((commands) => buildSchedules(commands, repeated))],
    ['three messages', sampleCases(triples.flatMap((commands) => buildSchedules(commands, runOrCrash)))],
    ['four messages', four],
  ])(
    'keeps its counts and publishes correct events only: %s',
    async (_, schedules) => {
      const cases = await runCases(schedules);
      const ends = await readOutcomes(cases);
      const violations = cases.flatMap((one, at) => {
        const { status, onHand, published } = ends[at]!;
        if (isRight(one, ends[at]!)) return [];
        return [`${one.steps.join(', ')}: ${status}, ${onHand} on hand, published: ${published.join(' ')}`];
      });
      expect(violations).toEqual([]);
      expect(await fixture.findInconsistencies()).toEqual([]);
    },
    120_000,
  );
});
