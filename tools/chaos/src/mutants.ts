import { type ChaosModule } from './chaos-module.ts';
import { type Change, type Mutant, replace } from './mutant.ts';
import { stateful } from './services.ts';

const insertBefore = (find: string, added: string): Change => ({ find, replace: `${added}\n${find}` });
const insertAfter = (find: string, added: string): Change => ({ find, replace: `${find}\n${added}` });

/** Defects of the platform. They test the check, which must find every defect. Those that are not `stateful` need busy services. */
const platformMutants: Record<string, Omit<Mutant, 'services'> & { services: 'busy' | 'stateful' }> = {
  'no-confirms': {
    description: 'a message counts as published before the broker has confirmed it',
    services: 'stateful',
    changes: [
      insertBefore(
        'const hasRoom = channel.publish(exchange, routingKey, content, signed, onConfirm);',
        'resolve();',
      ),
    ],
    faults: ['freeze'],
    seconds: 30,
  },
  'no-inbox': {
    description: 'services do not remember handled messages',
    services: 'stateful',
    changes: [
      replace(
        'return { key: messageId, sender };',
        'return { key: globalThis.crypto.randomUUID(), sender };',
      ),
    ],
    faults: ['duplicates'],
    seconds: 25,
  },
  'naive-cursor': {
    description: 'the relay skips messages with a lower id than the last published one',
    services: 'busy',
    changes: [
      replace('name: "outbox-open",', ''),
      replace(
        'WHERE published_at IS NULL AND due_at IS NULL ORDER BY id LIMIT ${batchSize}`',
        'WHERE published_at IS NULL AND due_at IS NULL AND id > ${this.last ?? 0} ORDER BY id LIMIT ${batchSize}`',
      ),
      insertAfter(
        'const published = await this.#publishInOrder(rows);',
        'this.last = Math.max(this.last ?? 0, ...published.map(Number));',
      ),
    ],
    faults: [],
    seconds: 20,
  },
  'two-relays': {
    description: 'two instances relay concurrently, and each takes the rows that the other has not locked',
    services: 'busy',
    changes: [
      replace('var batchSize = 200;', 'var batchSize = 1;'),
      replace(
        '"SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS mine"',
        '"SELECT $1::text IS NOT NULL AS mine"',
      ),
      replace(
        'start = () => this.#loop.start();',
        `start = () => {
          this.#loop.start();
          if (!this.options.twin) new this.constructor({ ...this.options, twin: true, pollEvery: 5 }).start();
        };`,
      ),
      replace(
        'if (!pending || pending.othersWait || !this.#loop.offerTask(publish)) this.#loop.wake();',
        'this.#loop.wake();',
      ),
      insertBefore(
        'const { rows } = await client.query({\n      name: "outbox-open",',
        'await client.query("BEGIN");',
      ),
      replace('name: "outbox-open",', ''),
      replace(
        'ORDER BY id LIMIT ${batchSize}`\n    });',
        'ORDER BY id LIMIT ${batchSize} FOR UPDATE SKIP LOCKED`\n    });',
      ),
      insertAfter(
        'const published = await this.#publishAndMark(client, rows);',
        'await client.query("COMMIT");',
      ),
    ],
    faults: [],
    seconds: 30,
  },
  'no-idempotency-record': {
    description: 'the Idempotency-Key of a client is not stored',
    services: 'stateful',
    changes: [
      replace(
        'if (!idempotencyKey || contract.kind === "event"',
        'if (idempotencyKey !== null || contract.kind === "event"',
      ),
    ],
    faults: [],
    seconds: 15,
  },
};

/** All stores with one defect each, by name. @param module undefined for a product without a workload */
export function listMutants(module?: ChaosModule): Record<string, Mutant> {
  const services = { stateful, busy: module?.busyServices ?? stateful };
  const ofPlatform = Object.entries(platformMutants).map(
    ([name, mutant]) => [name, { ...mutant, services: services[mutant.services] }] as const,
  );
  return { ...Object.fromEntries(ofPlatform), ...module?.mutants };
}
