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
/** Called with the response, or undefined if the event does not contain all of it. */
type OnEvent = (answer: Output | undefined) => void;
interface ReceivedEvent {
  answer: Output | undefined;
  until: number;
}

/** Polling delay and interval, in milliseconds. Needed because events are delivered at most once. */
const pollDelayMs = 100;
const pollIntervalMs = 500;
/** Milliseconds for which events are kept, as an event may arrive before the reply to its command, and their number. */
const keepEventsMs = 30_000;
const maxKeptEvents = 10_000;

/** Milliseconds after the start of a shutdown until waiting clients get the response without the final result. */
const shutdownTimeoutMs = 3_000;

/** The key of waiting clients: the query for the state, and the id of the resource. */
const toWaitKey = (wait: Wait, value: unknown): string => `${wait.answer} ${String(value)}`;

/** Waits for the final result of an asynchronous command (`Prefer: wait=N`). */
@Injectable()
export class Completions implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown {
  readonly #listener: Listener;
  /** By event name. */
  #waits = new Map<string, Wait[]>();
  readonly #received = new Map<string, ReceivedEvent>();
  readonly #ending = new AbortController();
  readonly #waiting = new Map<string, Set<OnEvent>>();

  constructor(
    connection: BrokerConnection,
    private readonly services: KnownServices,
    private readonly client: RabbitClient,
    private readonly settings: GatewaySettings,
  ) {
    this.#listener = new Listener(connection, (event) => this.#receive(event));
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
      void this.#listener.subscribe(this.#waits.keys());
    });
  }

  /**
   * Waits for one of the events of `wait` about the resource in `reply`, or until polling returns another `status` than the
   * reply.
   * @returns the result of the query `wait.answer` or the event; undefined after the timeout, if the client is gone, or at
   *   shutdown
   */
  waitFor(
    wait: Wait,
    reply: Output,
    options: { seconds: number; context: CallContext; policy: CallPolicy; gone: AbortSignal },
  ): Promise<Output | undefined> {
    const { seconds, context, policy, gone } = options;
    if (gone.aborted || this.#ending.signal.aborted) return Promise.resolve(undefined);
    const value = reply[wait.key];
    const name = toWaitKey(wait, value);
    const until = performance.now() + seconds * 1_000;

    const query = async (): Promise<Output | undefined> => {
      const timeout = Math.min(this.settings.requestTimeout, until - performance.now());
      const answer = await this.client
        .request(wait.answer, { [wait.key]: value }, { context, policy, timeout })
        .catch(() => undefined);
      return (answer ?? undefined) as Output | undefined;
    };
    return new Promise((resolve) => {
      const finish = (answer: Output | undefined): void => {
        clearTimeout(pollTimer);
        clearTimeout(timeout);
        gone.removeEventListener('abort', giveUp);
        this.#ending.signal.removeEventListener('abort', giveUp);
        this.#stopWaiting(name, onEvent);
        resolve(answer);
      };
      const giveUp = (): void => finish(undefined);
      const onEvent = async (received: Output | undefined): Promise<void> => {
        const answer = received ?? (await query());
        if (answer) finish(answer);
      };
      const poll = async (): Promise<void> => {
        pollTimer = setTimeout(() => void poll(), pollIntervalMs);
        const answer = await query();
        if (answer && answer['status'] !== reply['status']) finish(answer);
      };
      const timeout = setTimeout(giveUp, seconds * 1_000);
      let pollTimer = setTimeout(() => void poll(), pollDelayMs);
      gone.addEventListener('abort', giveUp);
      this.#ending.signal.addEventListener('abort', giveUp);
      this.#startWaiting(name, onEvent);
      const received = this.#received.get(name);
      if (received && received.until > performance.now()) void onEvent(received.answer);
    });
  }

  #receive({ pattern, data }: Incoming): void {
    for (const wait of this.#waits.get(pattern) ?? []) {
      const value = (data as Output | undefined)?.[wait.key];
      if (value === undefined) continue;
      const name = toWaitKey(wait, value);
      const answer = toAnswer(wait, pattern, data as Output);
      this.#keep(name, answer);
      for (const onEvent of this.#waiting.get(name) ?? []) onEvent(answer);
    }
  }

  /** Keeps the first event that contains the result: later events do not change it. */
  #keep(name: string, answer: Output | undefined): void {
    const now = performance.now();
    const before = this.#received.get(name)?.answer;
    this.#received.delete(name);
    this.#received.set(name, { answer: before ?? answer, until: now + keepEventsMs });
    for (const [oldest, { until }] of this.#received) {
      if (until > now && this.#received.size <= maxKeptEvents) break;
      this.#received.delete(oldest);
    }
  }

  #startWaiting(name: string, onEvent: OnEvent): void {
    const waiting = this.#waiting.get(name);
    if (waiting) waiting.add(onEvent);
    else this.#waiting.set(name, new Set([onEvent]));
  }

  #stopWaiting(name: string, onEvent: OnEvent): void {
    const waiting = this.#waiting.get(name);
    waiting?.delete(onEvent);
    if (waiting?.size === 0) this.#waiting.delete(name);
  }

  beforeApplicationShutdown(): void {
    setTimeout(() => this.#ending.abort('ending'), shutdownTimeoutMs).unref();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#listener.close();
  }
}

/** The response built from an event, if the event contains all of it. */
function toAnswer(wait: Wait, event: string, data: Output): Output | undefined {
  const fields = wait.until.find((one) => one.event === event)?.tells;
  return (
    fields && Object.fromEntries(fields.filter((field) => field in data).map((field) => [field, data[field]]))
  );
}
