import type { CallPolicy } from '@jogakbo/contract';
import {
  BrokerConnection,
  Listener,
  RabbitClient,
  type CallContext,
  type Incoming,
} from '@jogakbo/messaging';
import {
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { KnownServices } from './known-services.ts';
import type { Route } from './routes.ts';
import { GatewaySettings } from './settings.ts';

type Wait = NonNullable<Route['http']['wait']>;
type Output = Record<string, unknown>;
/** Of what was heard: what it answers, where it tells enough. */
type Hear = (answer: Output | undefined) => void;
interface Heard {
  answer: Output | undefined;
  until: number;
}

/** Events are heard at most once, so whoever waits also asks, after a moment and then this often (milliseconds). */
const askAfter = 100;
const askEvery = 500;
/** An event may be heard before the reply to what caused it: it is kept for this long (milliseconds). */
const keepHeard = 30_000;
const keepHeardAtMost = 10_000;

/** Who still waits so long after the gateway began to end gets the plain answer (milliseconds). */
const patienceAtEnd = 3_000;

/** What a waiting client waits for: the thing, and the question that tells its state. */
const thing = (wait: Wait, value: unknown): string => `${wait.answer} ${String(value)}`;

/** Lets a client wait for the end of what its request began (`Prefer: wait=N`). */
@Injectable()
export class Waiting implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown {
  readonly #listener: Listener;
  /** By event name. */
  #waits = new Map<string, Wait[]>();
  readonly #heard = new Map<string, Heard>();
  readonly #ending = new AbortController();
  readonly #waiting = new Map<string, Set<Hear>>();

  constructor(
    connection: BrokerConnection,
    private readonly services: KnownServices,
    private readonly client: RabbitClient,
    private readonly settings: GatewaySettings,
  ) {
    this.#listener = new Listener(connection, (event) => this.#hear(event));
  }

  async onModuleInit(): Promise<void> {
    await this.#listener.open();
    this.services.onTable(({ routes }) => {
      this.#waits = new Map();
      for (const { http } of routes) {
        for (const event of http.wait?.until ?? []) {
          this.#waits.set(event.event, [...(this.#waits.get(event.event) ?? []), http.wait!]);
        }
      }
      void this.#listener.alsoHear(this.#waits.keys());
    });
  }

  /**
   * Waits until one of the events of `wait` is heard of the thing that `reply` is about, or asking shows another
   * `status` than the reply has.
   * @returns what `wait.answer` says then, or the event in its place; undefined where time is over, the client has gone,
   *   or the gateway ends, before that
   */
  end(
    wait: Wait,
    reply: Output,
    options: { seconds: number; context: CallContext; policy: CallPolicy; gone: AbortSignal },
  ): Promise<Output | undefined> {
    const { seconds, context, policy, gone } = options;
    if (gone.aborted || this.#ending.signal.aborted) return Promise.resolve(undefined);
    const value = reply[wait.key];
    const name = thing(wait, value);
    const until = performance.now() + seconds * 1_000;

    const ask = async (): Promise<Output | undefined> => {
      const timeout = Math.min(this.settings.requestTimeout, until - performance.now());
      const answer = await this.client
        .request(wait.answer, { [wait.key]: value }, { context, policy, timeout })
        .catch(() => undefined);
      return (answer ?? undefined) as Output | undefined;
    };
    return new Promise((resolve) => {
      const finish = (answer: Output | undefined): void => {
        clearTimeout(asking);
        clearTimeout(patience);
        gone.removeEventListener('abort', giveUp);
        this.#ending.signal.removeEventListener('abort', giveUp);
        this.#stopWaiting(name, onHeard);
        resolve(answer);
      };
      const giveUp = (): void => finish(undefined);
      const onHeard = async (told: Output | undefined): Promise<void> => {
        const answer = told ?? (await ask());
        if (answer) finish(answer);
      };
      const look = async (): Promise<void> => {
        asking = setTimeout(() => void look(), askEvery);
        const answer = await ask();
        if (answer && answer['status'] !== reply['status']) finish(answer);
      };
      const patience = setTimeout(giveUp, seconds * 1_000);
      let asking = setTimeout(() => void look(), askAfter);
      gone.addEventListener('abort', giveUp);
      this.#ending.signal.addEventListener('abort', giveUp);
      this.#startWaiting(name, onHeard);
      const heard = this.#heard.get(name);
      if (heard && heard.until > performance.now()) void onHeard(heard.answer);
    });
  }

  #hear({ pattern, data }: Incoming): void {
    for (const wait of this.#waits.get(pattern) ?? []) {
      const value = (data as Output | undefined)?.[wait.key];
      if (value === undefined) continue;
      const name = thing(wait, value);
      const answer = answerWithin(wait, pattern, data as Output);
      this.#keep(name, answer);
      for (const onHeard of this.#waiting.get(name) ?? []) onHeard(answer);
    }
  }

  /** The first that tells how it ended is kept: what comes later does not change the end. */
  #keep(name: string, answer: Output | undefined): void {
    const now = performance.now();
    const before = this.#heard.get(name)?.answer;
    this.#heard.delete(name);
    this.#heard.set(name, { answer: before ?? answer, until: now + keepHeard });
    for (const [oldest, { until }] of this.#heard) {
      if (until > now && this.#heard.size <= keepHeardAtMost) break;
      this.#heard.delete(oldest);
    }
  }

  #startWaiting(name: string, onHeard: Hear): void {
    const waiting = this.#waiting.get(name);
    if (waiting) waiting.add(onHeard);
    else this.#waiting.set(name, new Set([onHeard]));
  }

  #stopWaiting(name: string, onHeard: Hear): void {
    const waiting = this.#waiting.get(name);
    waiting?.delete(onHeard);
    if (waiting?.size === 0) this.#waiting.delete(name);
  }

  beforeApplicationShutdown(): void {
    setTimeout(() => this.#ending.abort('ending'), patienceAtEnd).unref();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#listener.close();
  }
}

/** An event as the answer, where it tells all of it. */
function answerWithin(wait: Wait, event: string, data: Output): Output | undefined {
  const fields = wait.until.find((one) => one.event === event)?.tells;
  return (
    fields && Object.fromEntries(fields.filter((field) => field in data).map((field) => [field, data[field]]))
  );
}
