import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { UnitsOfWork, type UnitOfWork } from '@jogakbo/consistency';
import { choices, eventually, interleavings } from '@jogakbo/testing';
import { AuthorizePaymentHandler } from '../src/authorize-payment.ts';
import { MovePaymentHandler } from '../src/move-payment.ts';
import { PaymentProvider } from '../src/provider.ts';
import { price, Till } from './till.ts';

type Command = 'authorize' | 'capture' | 'return' | 'return again';

/**
 * `run`: is handled. `crash 1`, `crash 2`: fails after the provider has answered so many calls. `hold`: the provider has
 * answered one call, the commit comes with `finish`.
 */
type How = 'run' | 'crash 1' | 'crash 2' | 'hold' | 'finish';
type Step = `${Command}: ${How}`;

const whole: How[][] = [['run'], ['crash 1', 'run']];
const held: How[][] = [['hold', 'finish']];
const returned: How[][] = [['crash 2', 'run']];

/** Every order of these messages with every fate of each; a message is redelivered until it is handled. */
const buildSchedules = (commands: Command[], fates: How[][]): Step[][] =>
  choices(
    commands.map((command) =>
      [...fates, ...(command === 'return' ? returned : [])].map((steps) =>
        steps.map((how): Step => `${command}: ${how}`),
      ),
    ),
  ).flatMap(interleavings);

const pairs: Command[][] = [
  ['authorize'],
  ['return'],
  ['authorize', 'capture'],
  ['authorize', 'return'],
  ['capture', 'return'],
  ['return', 'return again'],
];
const triples: Command[][] = [
  ['authorize', 'capture', 'return'],
  ['authorize', 'return', 'return again'],
];
const schedules: [string, string, Step[][]][] = [
  ['two messages', 'tok_ok', pairs.flatMap((commands) => buildSchedules(commands, [...whole, ...held]))],
  [
    'two messages',
    'tok_declined',
    pairs.flatMap((commands) => buildSchedules(commands, [...whole, ...held])),
  ],
  ['three messages', 'tok_ok', triples.flatMap((commands) => buildSchedules(commands, whole))],
];

class Crash extends Error {}

/** One order that gets all messages of one schedule. */
interface Case {
  orderId: string;
  token: string;
  steps: Step[];
}

describe('payments, in every order and with a crash at every call of the provider', () => {
  let till: Till;
  let units: UnitsOfWork;
  /** Runs when the provider has answered a call of the delivery at hand. */
  const answered = new AsyncLocalStorage<() => Promise<void> | void>();

  beforeAll(async () => {
    till = await Till.open({ DATABASE_POOL: '12', PROVIDER_TIMEOUT: '5000' });
    units = till.payments.get(UnitsOfWork);
    const provider = till.payments.get(PaymentProvider as never) as PaymentProvider;
    for (const call of ['authorize', 'capture', 'void', 'refund'] as const) {
      const original = provider[call].bind(provider) as (about: never) => Promise<never>;
      provider[call] = async (about: never) => {
        const charge = await original(about);
        await answered.getStore()?.();
        return charge;
      };
    }
  });
  afterAll(() => till.payments.stop());

  function handle(command: Command, { orderId, token }: Case, work: UnitOfWork): Promise<void> {
    const moves = till.payments.get(MovePaymentHandler);
    if (command === 'capture') return moves.capture({ orderId }, work);
    if (command !== 'authorize') return moves.giveBack({ orderId }, work);
    const body = { orderId, memberId: orderId, amount: price, token };
    return till.payments.get(AuthorizePaymentHandler).handle(body, work);
  }

  const deliver = (command: Command, one: Case, onAnswer: () => Promise<void> | void = () => {}) =>
    answered.run(onAnswer, () => units.run((work) => handle(command, one, work), one.orderId));

  /** Runs one schedule, then redelivers what failed, as the retry queue does. */
  async function play(one: Case): Promise<void> {
    const open = new Set<Command>();
    const held = new Map<Command, { finish: () => void; handled: Promise<void> }>();
    const attempt = (command: Command, handled: Promise<void>) =>
      handled.then(
        () => void open.delete(command),
        () => void open.add(command),
      );
    for (const step of one.steps) {
      const [command, how] = step.split(': ') as [Command, How];
      if (how === 'hold') {
        const gate = Promise.withResolvers<void>();
        const reached = Promise.withResolvers<void>();
        const handled = attempt(
          command,
          deliver(command, one, () => {
            reached.resolve();
            return gate.promise;
          }),
        );
        held.set(command, { finish: gate.resolve, handled });
        await Promise.race([reached.promise, handled]);
      } else if (how === 'finish') {
        held.get(command)!.finish();
        await held.get(command)!.handled;
      } else {
        let calls = how === 'run' ? Infinity : Number(how.at(-1));
        const crash = () => {
          if (--calls === 0) throw new Crash();
        };
        await attempt(command, deliver(command, one, crash));
      }
    }
    for (let round = 0; round < 4 && open.size > 0; round++)
      for (const command of [...open]) await attempt(command, deliver(command, one));
  }

  async function playAll(cases: Case[]): Promise<void> {
    const waiting = [...cases];
    const players = Array.from({ length: 12 }, async () => {
      for (let next = waiting.pop(); next; next = waiting.pop()) await play(next);
    });
    await Promise.all(players);
    // An authorization that came too late is released by a message of its own.
    await eventually(
      async () => (await till.payments.query('SELECT FROM outbox WHERE published_at IS NULL')).length === 0,
    );
  }

  interface End {
    orderId: string;
    status: string | null;
    charge: string | null;
    announced: string[];
  }

  async function ends(cases: Case[]): Promise<Map<string, End>> {
    const rows = await till.books<End>(
      `SELECT wanted AS "orderId", payment.status, charge.status AS charge,
         (SELECT coalesce(json_agg(name ORDER BY id), '[]') FROM outbox
          WHERE subject = wanted::text AND kind = 'event') AS announced
       FROM unnest($1::uuid[]) AS wanted LEFT JOIN payment ON payment.order_id = wanted
       LEFT JOIN sandbox_charge AS charge ON idempotency_key = payment.payment_id::text`,
      [cases.map(({ orderId }) => orderId)],
    );
    return new Map(rows.map((row) => [row.orderId, row]));
  }

  /** How a payment may end, by the messages of its schedule. */
  function allowed({ steps, token }: Case): (string | null)[] {
    const came = (command: Command) => steps.some((step) => step.startsWith(command));
    if (came('return'))
      return token === 'tok_declined' ? ['declined', 'returned'] : ['voided', 'refunded', 'returned'];
    if (!came('authorize')) return [null];
    return [token === 'tok_declined' ? 'declined' : came('capture') ? 'captured' : 'authorized'];
  }

  /** What may be announced, in this order, by the final state of the charge. */
  const truths: Record<string, RegExp> = {
    authorized: /^authorized $/,
    declined: /^(declined )?$/,
    captured: /^authorized captured $/,
    voided: /^(authorized )?(voided )?$/,
    refunded: /^authorized captured refunded $/,
  };

  function untrue({ steps, token, ...one }: Case, { status, charge, announced }: End): string[] {
    const names = announced.map((name) => name.replace('payments.payment-', '') + ' ').join('');
    const violation = `${token}, ${steps.join(', ')}: ours is ${status}, the provider's ${charge}, announced: ${names}`;
    const isRight =
      allowed({ steps, token, ...one }).includes(status) &&
      (charge === null ? names === '' : truths[charge]!.test(names)) &&
      // A payment that was announced ends with an announcement too.
      (names !== 'authorized ' || status === 'authorized');
    return isRight ? [] : [violation];
  }

  it.each(schedules)(
    'agrees with the provider and announces nothing untrue: %s, %s',
    async (_, token, all) => {
      const cases = all.map((steps): Case => ({ orderId: randomUUIDv7(), token, steps }));
      await playAll(cases);
      // Messages of the service to itself may still be under way.
      await eventually(async () => (await till.wrong()).length === 0, 10_000).catch(() => {});
      const found = await ends(cases);
      expect(cases.flatMap((one) => untrue(one, found.get(one.orderId)!))).toEqual([]);
      expect(await till.wrong()).toEqual([]);
    },
    120_000,
  );
});
