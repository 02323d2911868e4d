import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { UnitsOfWork, type UnitOfWork } from '@jogakbo/consistency';
import { cartesianProduct, eventually, interleavings } from '@jogakbo/testing';
import { sampleCases } from '@jogakbo/testing/full-runs';
import { AuthorizePaymentHandler } from '../src/authorize-payment.ts';
import { CapturePaymentHandler } from '../src/capture-payment.ts';
import { PaymentProvider } from '../src/provider.ts';
import { ReturnPaymentHandler } from '../src/return-payment.ts';
import { price, PaymentsFixture } from './till.ts';

type Command = 'authorize' | 'capture' | 'return' | 'return again';

/**
 * `run`: is handled. `crash 1`, `crash 2`: fails after so many provider calls. `hold`: stops after one provider call;
 * `finish` commits it.
 */
type Action = 'run' | 'crash 1' | 'crash 2' | 'hold' | 'finish';
type Step = `${Command}: ${Action}`;

const runOrCrash: Action[][] = [['run'], ['crash 1', 'run']];
const hold: Action[][] = [['hold', 'finish']];
const crashAfterTwoCalls: Action[][] = [['crash 2', 'run']];

/** Every interleaving of these messages with every sequence of actions for each. */
const buildSchedules = (commands: Command[], actionLists: Action[][]): Step[][] =>
  cartesianProduct(
    commands.map((command) =>
      [...actionLists, ...(command === 'return' ? crashAfterTwoCalls : [])].map((steps) =>
        steps.map((action): Step => `${command}: ${action}`),
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
  ['two messages', 'tok_ok', pairs.flatMap((commands) => buildSchedules(commands, [...runOrCrash, ...hold]))],
  [
    'two messages',
    'tok_declined',
    pairs.flatMap((commands) => buildSchedules(commands, [...runOrCrash, ...hold])),
  ],
  [
    'three messages',
    'tok_ok',
    sampleCases(triples.flatMap((commands) => buildSchedules(commands, runOrCrash))),
  ],
];

class Crash extends Error {}

/** One order that receives all messages of one schedule. */
interface Case {
  orderId: string;
  token: string;
  steps: Step[];
}

describe('payments, in every message order and with a crash at every provider call', () => {
  let fixture: PaymentsFixture;
  let units: UnitsOfWork;
  /** Runs after each provider call of the current delivery. */
  const afterProviderCall = new AsyncLocalStorage<() => Promise<void> | void>();

  beforeAll(async () => {
    fixture = await PaymentsFixture.start({ DATABASE_POOL: '12', PROVIDER_TIMEOUT: '5000' });
    units = fixture.payments.get(UnitsOfWork);
    const provider = fixture.payments.get(PaymentProvider as never) as PaymentProvider;
    for (const call of ['authorize', 'capture', 'void', 'refund'] as const) {
      const original = provider[call].bind(provider) as (about: never) => Promise<never>;
      provider[call] = async (about: never) => {
        const charge = await original(about);
        await afterProviderCall.getStore()?.();
        return charge;
      };
    }
  });
  afterAll(() => fixture.payments.stop());

  function handle(command: Command, { orderId, token }: Case, work: UnitOfWork): Promise<void> {
    const { payments } = fixture;
    if (command === 'capture') return payments.get(CapturePaymentHandler).handle({ orderId }, work);
    if (command !== 'authorize') return payments.get(ReturnPaymentHandler).handle({ orderId }, work);
    const body = { orderId, memberId: orderId, amount: price, token };
    return payments.get(AuthorizePaymentHandler).handle(body, work);
  }

  const deliver = (command: Command, one: Case, onProviderCall: () => Promise<void> | void = () => {}) =>
    afterProviderCall.run(onProviderCall, () => units.run((work) => handle(command, one, work), one.orderId));

  /** Runs one schedule, then redelivers failed messages, as the retry queue does. */
  async function runCase(one: Case): Promise<void> {
    const open = new Set<Command>();
    const held = new Map<Command, { finish: () => void; handled: Promise<void> }>();
    const attempt = (command: Command, handled: Promise<void>) =>
      handled.then(
        () => void open.delete(command),
        () => void open.add(command),
      );
    for (const step of one.steps) {
      const [command, action] = step.split(': ') as [Command, Action];
      if (action === 'hold') {
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
      } else if (action === 'finish') {
        held.get(command)!.finish();
        await held.get(command)!.handled;
      } else {
        let calls = action === 'run' ? Infinity : Number(action.at(-1));
        const crash = () => {
          if (--calls === 0) throw new Crash();
        };
        await attempt(command, deliver(command, one, crash));
      }
    }
    for (let round = 0; round < 4 && open.size > 0; round++)
      for (const command of [...open]) await attempt(command, deliver(command, one));
  }

  async function runCases(cases: Case[]): Promise<void> {
    const waiting = [...cases];
    const workers = Array.from({ length: 12 }, async () => {
      for (let next = waiting.pop(); next; next = waiting.pop()) await runCase(next);
    });
    await Promise.all(workers);
    // A separate message voids a late authorization.
    await eventually(
      async () =>
        (await fixture.payments.query('SELECT FROM outbox WHERE published_at IS NULL')).length === 0,
    );
  }

  interface Outcome {
    orderId: string;
    status: string | null;
    charge: string | null;
    announced: string[];
  }

  async function readOutcomes(cases: Case[]): Promise<Map<string, Outcome>> {
    const rows = await fixture.queryLedger<Outcome>(
      `SELECT wanted AS "orderId", payment.status, charge.status AS charge,
         (SELECT coalesce(json_agg(name ORDER BY id), '[]') FROM outbox
          WHERE subject = wanted::text AND kind = 'event') AS announced
       FROM unnest($1::uuid[]) AS wanted LEFT JOIN payment ON payment.order_id = wanted
       LEFT JOIN sandbox_charge AS charge ON idempotency_key = payment.payment_id::text`,
      [cases.map(({ orderId }) => orderId)],
    );
    return new Map(rows.map((row) => [row.orderId, row]));
  }

  /** The final states that the messages of a schedule allow. */
  function getAllowedStatuses({ steps, token }: Case): (string | null)[] {
    const includes = (command: Command) => steps.some((step) => step.startsWith(command));
    if (includes('return'))
      return token === 'tok_declined' ? ['declined', 'returned'] : ['voided', 'refunded', 'returned'];
    if (!includes('authorize')) return [null];
    return [token === 'tok_declined' ? 'declined' : includes('capture') ? 'captured' : 'authorized'];
  }

  /** The events allowed for each final state of the charge, in order. */
  const allowedEvents: Record<string, RegExp> = {
    authorized: /^authorized $/,
    declined: /^(declined )?$/,
    captured: /^authorized captured $/,
    voided: /^(authorized )?(voided )?$/,
    refunded: /^authorized captured refunded $/,
  };

  function findViolations({ steps, token, ...one }: Case, { status, charge, announced }: Outcome): string[] {
    const names = announced.map((name) => name.replace('payments.payment-', '') + ' ').join('');
    const violation = `${token}, ${steps.join(', ')}: payment ${status}, charge ${charge}, published: ${names}`;
    const isRight =
      getAllowedStatuses({ steps, token, ...one }).includes(status) &&
      (charge === null ? names === '' : allowedEvents[charge]!.test(names)) &&
      // A payment whose authorization was published must publish its end too.
      (names !== 'authorized ' || status === 'authorized');
    return isRight ? [] : [violation];
  }

  it.each(schedules)(
    'agrees with the provider and publishes correct events only: %s, %s',
    async (_, token, all) => {
      const cases = all.map((steps): Case => ({ orderId: randomUUIDv7(), token, steps }));
      await runCases(cases);
      // Messages of the service to itself may still be in flight.
      await eventually(async () => (await fixture.findInconsistencies()).length === 0, 10_000).catch(
        () => {},
      );
      const found = await readOutcomes(cases);
      expect(cases.flatMap((one) => findViolations(one, found.get(one.orderId)!))).toEqual([]);
      expect(await fixture.findInconsistencies()).toEqual([]);
    },
    120_000,
  );
});
