import type { AnyEvent } from '@jogakbo/contract';
import type { RabbitServer } from '@jogakbo/messaging';
import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { OutOfOrder } from './out-of-order.ts';
import type { Saga, Step } from './saga.ts';
import type { StorageEncryption } from './storage-encryption.ts';
import type { UnitOfWork } from './unit-of-work.ts';
import type { UnitsOfWork } from './units-of-work.ts';

interface Stored {
  state: unknown;
  ended: boolean;
}

/**
 * Stores the runs of a service's sagas in its database, each step in the transaction of the event that caused it. States
 * are encrypted, because they may contain an access token, for example.
 */
export class SagaRunner {
  readonly #logger = new Logger('SagaRunner');
  readonly #changedRuns = new WeakMap<UnitOfWork, Map<string, Stored>>();
  #timer: NodeJS.Timeout | undefined;
  /** The poll that is under way. */
  #poll: Promise<void> | undefined;
  #stopping = false;

  constructor(
    private readonly sagas: readonly Saga[],
    private readonly dataSource: DataSource,
    private readonly units: UnitsOfWork,
    private readonly encryption: StorageEncryption,
  ) {}

  /**
   * Subscribes the sagas to their events. Call it before the server listens. The handlers of the service are added later, so
   * sagas handle an event first; nothing relies on that order.
   */
  attach(server: RabbitServer): void {
    for (const saga of this.sagas) {
      server.addContractHandler(saga.start.contract, (data, work) =>
        this.#startRun(saga, data, work as UnitOfWork),
      );
      for (const { event } of saga.transitions.values()) {
        server.addContractHandler(event, (data, work) =>
          this.#advanceRun(saga, event, data, work as UnitOfWork),
        );
      }
    }
  }

  async #startRun(saga: Saga, data: unknown, work: UnitOfWork): Promise<void> {
    const step = saga.start.transition(data as never, undefined as never);
    const inserted = (await work.tx.query(
      `INSERT INTO saga (name, key, state, history, due_at, ended_at)
       VALUES ($1, $2, $3, $4, now() + $5 * interval '1 millisecond', CASE WHEN $6 THEN now() END) ON CONFLICT DO NOTHING RETURNING key`,
      [
        saga.name,
        getKey(saga, data),
        this.#encodeState(saga.name, getKey(saga, data), step.state ?? null),
        JSON.stringify([toHistoryEntry(saga.start.contract.name, step)]),
        saga.timeout && !step.ended ? saga.timeout.after : null,
        step.ended,
      ],
    )) as unknown[];
    if (inserted.length > 0) step.messages.forEach(work.send);
  }

  async #advanceRun(saga: Saga, event: AnyEvent, data: unknown, work: UnitOfWork): Promise<void> {
    const key = getKey(saga, data);
    const stored = await this.#read(saga, key, work);
    if (!stored)
      throw new OutOfOrder(`${event.name} arrived before the start of saga ${saga.name} of ${key}`);
    if (stored.ended) return;
    const step = saga.transitions.get(event.name)!.transition(data as never, stored.state as never);
    this.#save(saga, key, event.name, stored.state, step, work);
  }

  /** Prefers the state set earlier in this unit of work, which also handles the service's own events. */
  async #read(saga: Saga, key: string, work: UnitOfWork): Promise<Stored | undefined> {
    const known = this.#changedRuns.get(work)?.get(`${saga.name} ${key}`);
    if (known) return known;
    const [stored] = (await work.tx.query(
      'SELECT state, ended_at IS NOT NULL AS ended FROM saga WHERE name = $1 AND key = $2 FOR UPDATE',
      [saga.name, key],
    )) as Stored[];
    return (
      stored && { ...stored, state: this.encryption.decrypt(stored.state, getAssociatedData(saga.name, key)) }
    );
  }

  #encodeState(name: string, key: string, state: unknown): string {
    return JSON.stringify(
      state === null ? null : this.encryption.encrypt(state, getAssociatedData(name, key)),
    );
  }

  #save(
    saga: Saga,
    key: string,
    cause: string,
    before: unknown,
    step: Step<unknown>,
    work: UnitOfWork,
  ): void {
    // An ended run keeps only its history: its state may contain data that must not be kept.
    const state = step.ended ? null : (step.state ?? before);
    const changed = this.#changedRuns.get(work) ?? new Map<string, Stored>();
    this.#changedRuns.set(work, changed.set(`${saga.name} ${key}`, { state, ended: step.ended }));
    work.write(
      `UPDATE saga SET state = $3, history = (history::jsonb || $4::jsonb)::json,
         ended_at = CASE WHEN $5 THEN now() END, due_at = CASE WHEN $5 THEN NULL ELSE due_at END
       WHERE name = $1 AND key = $2`,
      [
        saga.name,
        key,
        this.#encodeState(saga.name, key, state),
        JSON.stringify([toHistoryEntry(cause, step)]),
        step.ended,
      ],
    );
    step.messages.forEach(work.send);
  }

  /** Polls for runs whose timeout is due. A poll that takes longer than the interval delays the next one. */
  start(every = 1_000): void {
    if (!this.sagas.some(({ timeout }) => timeout)) return;
    this.#timer = setInterval(() => {
      this.#poll ??= this.#fireDue()
        .catch((error: Error) => this.#logger.warn(error.message))
        .finally(() => (this.#poll = undefined));
    }, every);
    this.#timer.unref();
  }

  async #fireDue(): Promise<void> {
    const timed = this.sagas.filter(({ timeout }) => timeout).map(({ name }) => name);
    const due = (await this.dataSource.query(
      'SELECT name, key FROM saga WHERE due_at <= now() AND name = ANY($1) ORDER BY due_at LIMIT 50',
      [timed],
    )) as { name: string; key: string }[];
    for (const { name, key } of due) {
      if (this.#stopping) return;
      const saga = this.sagas.find((one) => one.name === name)!;
      try {
        await this.#timeOut(saga, saga.timeout!.transition, key);
      } catch (error) {
        // The other timeouts continue. This one is retried, and logged, until it succeeds.
        this.#logger.error(
          { err: error },
          `the timeout of saga ${name} of ${key} failed and is retried in a minute`,
        );
        await this.dataSource.query(
          `UPDATE saga SET due_at = now() + interval '1 minute' WHERE name = $1 AND key = $2 AND due_at <= now()`,
          [name, key],
        );
      }
    }
  }

  /**
   * Runs in a separate unit of work. Its lock of the subject keeps other instances, and messages about the run, away. Skips a
   * run that a message with another subject than the key is changing: the next poll follows.
   */
  async #timeOut(
    saga: Saga,
    transition: NonNullable<Saga['timeout']>['transition'],
    key: string,
  ): Promise<void> {
    await this.units.run(async (work) => {
      const [stored] = (await work.tx.query(
        'SELECT state FROM saga WHERE name = $1 AND key = $2 AND due_at <= now() FOR UPDATE SKIP LOCKED',
        [saga.name, key],
      )) as Stored[];
      if (!stored) return;
      const state = this.encryption.decrypt(stored.state, getAssociatedData(saga.name, key));
      const step = transition({ [saga.keyField]: key } as never, state as never);
      this.#save(saga, key, 'timeout', state, step, work);
      await work.tx.query('UPDATE saga SET due_at = NULL WHERE name = $1 AND key = $2', [saga.name, key]);
    }, key);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#timer);
    await this.#poll;
  }
}

const getAssociatedData = (name: string, key: string): string => `saga ${name} ${key}`;

const getKey = (saga: Saga, data: unknown): string => (data as Record<string, string>)[saga.keyField]!;

const toHistoryEntry = (event: string, step: Step<unknown>) => ({
  at: new Date().toISOString(),
  event,
  sent: step.messages.map(({ contract }) => contract.name),
  ...(step.ended && { ended: true }),
});
