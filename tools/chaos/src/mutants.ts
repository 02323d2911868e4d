import { type FaultName } from './schedule.ts';

/** An exact piece of a built service, and what stands there instead. It must occur once, or the mutant is out of date. */
export interface Change {
  services: readonly string[];
  find: string;
  replace: string;
}

export interface Mutant {
  /** What it does without. */
  lacks: string;
  changes: Change[];
  /** Under which this is felt. */
  faults: FaultName[];
  seconds: number;
}

const all = ['catalog', 'identity', 'inventory', 'orders', 'payments', 'notifications'];

/** Stores that are broken inside, each in one way: the check is worth something as long as it finds every one. */
export const mutants: Record<string, Mutant> = {
  'no-confirms': {
    lacks: 'a message counts as published before the broker has confirmed it',
    changes: [
      {
        services: all,
        find: 'const more = channel.publish(exchange, routingKey, content, options, (error) => {',
        replace:
          'resolve();\n      const more = channel.publish(exchange, routingKey, content, options, (error) => {',
      },
    ],
    faults: ['freeze'],
    seconds: 30,
  },
  'no-inbox': {
    lacks: 'nobody remembers which messages were handled',
    changes: [
      {
        services: all,
        find: 'return { key: messageId };',
        replace: 'return { key: globalThis.crypto.randomUUID() };',
      },
    ],
    faults: ['duplicates'],
    seconds: 25,
  },
  'naive-cursor': {
    lacks: 'the relay goes by the last id that it saw and not by a flag',
    changes: [
      { services: ['orders', 'inventory'], find: 'name: "outbox-open",', replace: '' },
      {
        services: ['orders', 'inventory'],
        find: 'WHERE published_at IS NULL AND due_at IS NULL ORDER BY id LIMIT ${batchSize}`',
        replace:
          'WHERE published_at IS NULL AND due_at IS NULL AND id > ${this.last ?? 0} ORDER BY id LIMIT ${batchSize}`',
      },
      {
        services: ['orders', 'inventory'],
        find: 'const published = await this.#publishInOrder(rows);',
        replace:
          'const published = await this.#publishInOrder(rows);\n    this.last = Math.max(this.last ?? 0, ...published.map(Number));',
      },
    ],
    faults: [],
    seconds: 20,
  },
  'two-relays': {
    lacks: 'two instances relay side by side, each taking whatever row the other does not hold',
    changes: [
      { services: ['orders', 'inventory'], find: 'var batchSize = 200;', replace: 'var batchSize = 1;' },
      {
        services: ['orders', 'inventory'],
        find: '"SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS mine"',
        replace: '"SELECT $1::text IS NOT NULL AS mine"',
      },
      {
        services: ['orders', 'inventory'],
        find: 'start = () => this.#loop.start();\n  wake = () => this.#loop.wake();\n  stop = () => this.#loop.stop();\n  async #step(client) {\n    if (Date.now() - this.#ripenedAt',
        replace:
          'start = () => {\n    this.#loop.start();\n    if (!this.options.twin) new this.constructor({ ...this.options, twin: true, pollEvery: 5 }).start();\n  };\n  wake = () => this.#loop.wake();\n  stop = () => this.#loop.stop();\n  async #step(client) {\n    if (Date.now() - this.#ripenedAt',
      },
      {
        services: ['orders', 'inventory'],
        find: 'const { rows } = await client.query({\n      name: "outbox-open",',
        replace: 'await client.query("BEGIN");\n    const { rows } = await client.query({',
      },
      {
        services: ['orders', 'inventory'],
        find: 'ORDER BY id LIMIT ${batchSize}`\n    });\n    if (rows.length === 0) return false;',
        replace:
          'ORDER BY id LIMIT ${batchSize} FOR UPDATE SKIP LOCKED`\n    });\n    if (rows.length === 0) return void (await client.query("COMMIT"));',
      },
      {
        services: ['orders', 'inventory'],
        find: 'return rows.length === batchSize && published.length > 0;',
        replace:
          'await client.query("COMMIT");\n    return rows.length === batchSize && published.length > 0;',
      },
    ],
    faults: [],
    seconds: 30,
  },
  'no-version-check': {
    lacks: 'stock is written over whatever somebody else wrote since it was read',
    changes: [
      {
        services: ['inventory'],
        find: 'WHERE product_id = ANY($1) ORDER BY product_id FOR UPDATE`',
        replace: 'WHERE product_id = ANY($1) ORDER BY product_id`',
      },
    ],
    faults: [],
    seconds: 20,
  },
  'no-compensation': {
    lacks: 'the pieces of an order that was not paid for stay reserved',
    changes: [
      {
        services: ['orders'],
        find: 'end(ReturnStock({ orderId }), RejectOrder({ orderId, reason }))',
        replace: 'end(RejectOrder({ orderId, reason }))',
      },
    ],
    faults: [],
    seconds: 15,
  },
  'no-idempotency-record': {
    lacks: 'the Idempotency-Key of a client is not kept',
    changes: [
      {
        services: all,
        find: 'if (!idempotencyKey || contract.kind === "event"',
        replace: 'if (idempotencyKey !== null || contract.kind === "event"',
      },
    ],
    faults: [],
    seconds: 15,
  },
  'no-expiry': {
    lacks: 'reservations are held for ever',
    changes: [
      {
        services: ['inventory'],
        find: 'publishLater(ExpireReservation({\n      orderId\n    }), held.expires_at);',
        replace: '',
      },
    ],
    faults: [],
    seconds: 30,
  },
};
