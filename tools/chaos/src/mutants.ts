import { type FaultName } from './schedule.ts';
import { stateful } from './services.ts';

/** An exact piece of a built service, and what stands there instead. It must occur once, or the mutant is out of date. */
export interface Change {
  find: string;
  replace: string;
}

export interface Mutant {
  /** What it does without. */
  lacks: string;
  /** The services that are changed, each in all these ways. */
  in: readonly string[];
  changes: Change[];
  /** Under which this is felt. */
  faults: FaultName[];
  seconds: number;
}

const instead = (find: string, replace: string): Change => ({ find, replace });
const before = (find: string, added: string): Change => ({ find, replace: `${added}\n${find}` });
const after = (find: string, added: string): Change => ({ find, replace: `${find}\n${added}` });

/** Stores that are broken inside, each in one way: the check is worth something as long as it finds every one. */
export const mutants: Record<string, Mutant> = {
  'no-confirms': {
    lacks: 'a message counts as published before the broker has confirmed it',
    in: stateful,
    changes: [
      before('const more = channel.publish(exchange, routingKey, content, signed, confirmed);', 'resolve();'),
    ],
    faults: ['freeze'],
    seconds: 30,
  },
  'no-inbox': {
    lacks: 'nobody remembers which messages were handled',
    in: stateful,
    changes: [
      instead(
        'return { key: messageId, sender };',
        'return { key: globalThis.crypto.randomUUID(), sender };',
      ),
    ],
    faults: ['duplicates'],
    seconds: 25,
  },
  'naive-cursor': {
    lacks: 'the relay goes by the last id that it saw and not by a flag',
    in: ['orders', 'inventory'],
    changes: [
      instead('name: "outbox-open",', ''),
      instead(
        'WHERE published_at IS NULL AND due_at IS NULL ORDER BY id LIMIT ${batchSize}`',
        'WHERE published_at IS NULL AND due_at IS NULL AND id > ${this.last ?? 0} ORDER BY id LIMIT ${batchSize}`',
      ),
      after(
        'const published = await this.#publishInOrder(rows);',
        'this.last = Math.max(this.last ?? 0, ...published.map(Number));',
      ),
    ],
    faults: [],
    seconds: 20,
  },
  'two-relays': {
    lacks: 'two instances relay side by side, each taking whatever row the other does not hold',
    in: ['orders', 'inventory'],
    changes: [
      instead('var batchSize = 200;', 'var batchSize = 1;'),
      instead(
        '"SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS mine"',
        '"SELECT $1::text IS NOT NULL AS mine"',
      ),
      instead(
        'start = () => this.#loop.start();',
        `start = () => {
          this.#loop.start();
          if (!this.options.twin) new this.constructor({ ...this.options, twin: true, pollEvery: 5 }).start();
        };`,
      ),
      instead(
        'if (!left || left.behind || !this.#loop.hand(publish)) this.#loop.wake();',
        'this.#loop.wake();',
      ),
      before(
        'const { rows } = await client.query({\n      name: "outbox-open",',
        'await client.query("BEGIN");',
      ),
      instead('name: "outbox-open",', ''),
      instead(
        'ORDER BY id LIMIT ${batchSize}`\n    });',
        'ORDER BY id LIMIT ${batchSize} FOR UPDATE SKIP LOCKED`\n    });',
      ),
      after('const published = await this.#handOver(client, rows);', 'await client.query("COMMIT");'),
    ],
    faults: [],
    seconds: 30,
  },
  'no-version-check': {
    lacks: 'stock is written over whatever somebody else wrote since it was read',
    in: ['inventory'],
    changes: [
      instead(
        'WHERE product_id = ANY($1) ORDER BY product_id FOR UPDATE`',
        'WHERE product_id = ANY($1) ORDER BY product_id`',
      ),
    ],
    faults: [],
    seconds: 20,
  },
  'no-compensation': {
    lacks: 'the pieces of an order that was not paid for stay reserved',
    in: ['orders'],
    changes: [
      instead(
        'end(ReturnStock({ orderId }), RejectOrder({ orderId, reason }))',
        'end(RejectOrder({ orderId, reason }))',
      ),
    ],
    faults: [],
    seconds: 15,
  },
  'no-idempotency-record': {
    lacks: 'the Idempotency-Key of a client is not kept',
    in: stateful,
    changes: [
      instead(
        'if (!idempotencyKey || contract.kind === "event"',
        'if (idempotencyKey !== null || contract.kind === "event"',
      ),
    ],
    faults: [],
    seconds: 15,
  },
  'no-expiry': {
    lacks: 'reservations are held for ever',
    in: ['inventory'],
    changes: [instead('publishLater(ExpireReservation({\n      orderId\n    }), this.settings.reservationMinutes * 6e4);', '')],
    faults: [],
    seconds: 30,
  },
};
