import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import pg from 'pg';
import { WakeableSleep } from './wakeable-sleep.ts';

export interface LeaderLoopOptions {
  /** Unique within the service; names the advisory lock and the notification channel. */
  name: string;
  databaseUrl: string;
  /** Milliseconds between polls without a wake-up. */
  pollEvery?: number;
  /**
   * Does part of the work. Returns whether more may remain. A crash of the database can undo what it commits through
   * `client` (asynchronous commit), so repeating it must be safe.
   */
  step: (client: pg.Client) => Promise<boolean>;
}

interface TaskBetweenSteps {
  /** Never throws. */
  run: (client: pg.Client) => Promise<void>;
  drop: () => void;
}

/** Milliseconds between keep-alive queries. PostgreSQL ends a session without any for 15 s: its client is frozen or lost. */
const keepAliveEvery = 2_000;
const sessionOptions = [
  'synchronous_commit=off',
  'idle_session_timeout=15s',
  'tcp_keepalives_idle=5',
  'tcp_keepalives_interval=5',
  'tcp_keepalives_count=2',
];

/**
 * Repeats work in one instance of a service at a time: the leader, which holds a session-level advisory lock. PostgreSQL
 * releases the lock at once if the process dies, and within 15 seconds if it is frozen or its host is lost. The other
 * instances wake the leader with NOTIFY after their commits, and take over after its death.
 */
export class LeaderLoop {
  readonly #logger = new Logger('LeaderLoop');
  readonly #stopping = new AbortController();
  readonly #channel: string;
  #client: pg.Client | undefined;
  #leading = false;
  /** For a leader. The first step needs no request. */
  #isStepRequested = false;
  /** For the other instances: a NOTIFY is about to be sent. */
  #isNotifyPending = false;
  readonly #tasks: ((client: pg.Client) => Promise<void>)[] = [];
  readonly #tasksBetweenSteps: TaskBetweenSteps[] = [];
  readonly #idle = new WakeableSleep();
  #done: Promise<void> | undefined;

  constructor(private readonly options: LeaderLoopOptions) {
    this.#channel = options.name.replace(/\W/g, '_');
  }

  start(): void {
    this.#done = this.#run();
  }

  get stopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Requests a step after a commit. Many calls cause one step, or one NOTIFY if another instance leads. */
  readonly wake = (): void => {
    if (this.#leading) {
      this.#isStepRequested = true;
      this.#idle.wake();
    } else if (this.#client && !this.#isNotifyPending) {
      this.#isNotifyPending = true;
      setTimeout(() => {
        this.#isNotifyPending = false;
        this.#client?.query(`NOTIFY ${this.#channel}`).catch(() => {});
      }, 2).unref();
    }
  };

  /**
   * Gives the leader a task for which it need not poll. The task is dropped if a step runs anyway or the lock is lost, so a
   * step must find the same work.
   * @returns false if another instance leads
   */
  offerTask(task: (client: pg.Client) => Promise<void>): boolean {
    if (!this.#leading) return false;
    this.#tasks.push(task);
    this.#idle.wake();
    return true;
  }

  /**
   * Runs a task between two steps, on the connection of the leader: no other step runs meanwhile, and the step of a former
   * leader can no longer write through its own connection. A step follows.
   * @returns undefined if another instance leads: the task did not run
   * @throws the error of the task
   */
  runBetweenSteps<T>(task: (client: pg.Client) => Promise<T>): Promise<T | undefined> {
    if (!this.#leading) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      const run = (client: pg.Client) => task(client).then(resolve, reject);
      this.#tasksBetweenSteps.push({ run, drop: () => resolve(undefined) });
      this.#idle.wake();
    });
  }

  async #run(): Promise<void> {
    while (!this.stopping) {
      let keepAlive: NodeJS.Timeout | undefined;
      let hasFailed = false;
      const client = new pg.Client({
        connectionString: this.options.databaseUrl,
        application_name: this.options.name,
        options: sessionOptions.map((option) => `-c ${option}`).join(' '),
        pipeline: true,
        connectionTimeoutMillis: 5_000,
        keepAlive: true,
      });
      try {
        const lost = new Promise<never>((_, reject) => {
          client.on('error', reject);
          client.on('end', () => reject(new Error('the connection to the database was lost')));
        });
        lost.catch(() => {});
        await client.connect();
        this.#client = client;
        keepAlive = setInterval(() => void client.query('').catch(() => {}), keepAliveEvery);
        await Promise.race([this.#lead(client), lost]);
      } catch (error) {
        if (!this.stopping)
          this.#logger.warn(`${this.options.name} failed and reconnects: ${(error as Error).message}`);
        hasFailed = true;
      } finally {
        clearInterval(keepAlive);
        this.#leading = false;
        this.#client = undefined;
        for (const { drop } of this.#tasksBetweenSteps.splice(0)) drop();
        await client.end().catch(() => {});
      }
      // Not with the connection: another instance can lead meanwhile.
      if (hasFailed) await this.#sleep(500);
    }
  }

  /** Ends also after the loss of its connection, as soon as its current query fails: then `#run` has another client. */
  async #lead(client: pg.Client): Promise<void> {
    const isOver = () => this.stopping || this.#client !== client;
    while (!isOver()) {
      const { rows } = await client.query<{ mine: boolean }>(
        'SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS mine',
        [this.options.name],
      );
      if (rows[0]?.mine) break;
      await this.#sleep(1_000);
    }
    if (isOver()) return;
    client.on('notification', () => {
      this.#isStepRequested = true;
      this.#idle.wake();
    });
    await client.query(`LISTEN ${this.#channel}`);
    if (isOver()) return;
    this.#leading = true;
    const { step, pollEvery = 500 } = this.options;
    let more = true;
    let polledAt = -Infinity;
    while (!isOver()) {
      for (const { run } of this.#tasksBetweenSteps.splice(0)) {
        await run(client);
        more = true;
      }
      const tasks = this.#tasks.splice(0);
      const waiting = polledAt + pollEvery - performance.now();
      if (more || this.#isStepRequested || waiting <= 0) {
        // Drops the tasks: the step finds the same work.
        this.#isStepRequested = false;
        more = await step(client);
        polledAt = performance.now();
      } else if (tasks.length > 0) {
        for (const task of tasks) await task(client);
      } else {
        await this.#idle.sleep(waiting);
      }
    }
  }

  #sleep(milliseconds: number): Promise<unknown> {
    return sleep(milliseconds, undefined, { signal: this.#stopping.signal, ref: false }).catch(() => {});
  }

  /** Ends after the current step. The rest is done after the next start, or by another instance. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#idle.wake();
    await this.#done;
  }
}
