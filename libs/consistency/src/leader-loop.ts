import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import pg from 'pg';

export interface LeaderLoopOptions {
  /** Of the work, unique within the service: what the lock and the wake-up call are named after. */
  name: string;
  databaseUrl: string;
  /** Milliseconds between looks where nobody calls. */
  pollEvery?: number;
  /**
   * Does some of the work. Gives whether there may be more at once. What it commits through `client` may be undone by
   * a crash of the database (asynchronous commit), so it must be right to do it again.
   */
  step: (client: pg.Client) => Promise<boolean>;
}

/** Milliseconds between signs of life; PostgreSQL ends the session of whoever gives none for 15 s, frozen or lost. */
const breathEvery = 2_000;
const sessionOptions = [
  'synchronous_commit=off',
  'idle_session_timeout=15s',
  'tcp_keepalives_idle=5',
  'tcp_keepalives_interval=5',
  'tcp_keepalives_count=2',
];

/**
 * Work that one instance of a service does at a time, again and again: whoever holds a session-level advisory lock,
 * which is gone with its holder: at once where its process dies, within 15 seconds where it is frozen or its host is lost.
 * The others wake it with NOTIFY after their commits, and take over when it dies.
 */
export class LeaderLoop {
  readonly #logger = new Logger('LeaderLoop');
  readonly #stopping = new AbortController();
  readonly #channel: string;
  #client: pg.Client | undefined;
  #leading = false;
  #wanted = true;
  #handed: ((client: pg.Client) => Promise<void>)[] = [];
  #wakeUp = () => {};
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

  /** Something was committed. Cheap: many calls become one look, and one NOTIFY where another instance leads. */
  readonly wake = (): void => {
    if (this.#wanted) return;
    this.#wanted = true;
    if (this.#leading) this.#wakeUp();
    else if (this.#client) {
      setTimeout(() => {
        this.#wanted = false;
        this.#client?.query(`NOTIFY ${this.#channel}`).catch(() => {});
      }, 2).unref();
    }
  };

  /**
   * Gives the leader a piece of the work, for which it need not look. It is dropped where the leader looks anyway, or
   * loses its place: so it must be something that a look finds too.
   * @returns false where another instance leads
   */
  hand(piece: (client: pg.Client) => Promise<void>): boolean {
    if (!this.#leading) return false;
    this.#handed.push(piece);
    this.#wakeUp();
    return true;
  }

  async #run(): Promise<void> {
    while (!this.stopping) {
      let breath: NodeJS.Timeout | undefined;
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
        breath = setInterval(() => void client.query('').catch(() => {}), breathEvery);
        await Promise.race([this.#lead(client), lost]);
      } catch (error) {
        if (!this.stopping)
          this.#logger.warn(`${this.options.name} starts over: ${(error as Error).message}`);
        await this.#pause(500);
      } finally {
        clearInterval(breath);
        this.#leading = false;
        this.#client = undefined;
        await client.end().catch(() => {});
      }
    }
  }

  async #lead(client: pg.Client): Promise<void> {
    while (!this.stopping) {
      const { rows } = await client.query<{ mine: boolean }>(
        'SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS mine',
        [this.options.name],
      );
      if (rows[0]?.mine) break;
      this.#wanted = false;
      await this.#pause(1_000);
    }
    client.on('notification', () => {
      this.#wanted = true;
      this.#wakeUp();
    });
    await client.query(`LISTEN ${this.#channel}`);
    this.#leading = true;
    const { step, pollEvery = 500 } = this.options;
    let more = true;
    let lookedAt = -Infinity;
    while (!this.stopping) {
      const handed = this.#handed;
      this.#handed = [];
      const waiting = lookedAt + pollEvery - performance.now();
      if (more || this.#wanted || waiting <= 0) {
        this.#wanted = false;
        more = await step(client);
        lookedAt = performance.now();
      } else if (handed.length > 0) {
        for (const piece of handed) await piece(client);
      } else {
        await this.#untilWoken(waiting);
      }
    }
  }

  async #untilWoken(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wakeUp = () => {};
  }

  #pause(milliseconds: number): Promise<unknown> {
    return sleep(milliseconds, undefined, { signal: this.#stopping.signal, ref: false }).catch(() => {});
  }

  /** Ends after the step at hand. What is left is done after the next start, or by another instance. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wakeUp();
    await this.#done;
  }
}
