import { Logger } from '@nestjs/common';
import { connect, type Channel, type ChannelModel, type RecoveringChannelModel } from 'amqplib';
import { toConnectOptions } from './address.ts';
import type { BrokerIdentity } from './identity.ts';

/**
 * The broker is unreachable or does not respond; another attempt may succeed. Thrown by the publisher; a caller of `ask`
 * receives `BrokerDisconnected` instead.
 */
export class BrokerUnavailable extends Error {
  override readonly name = 'BrokerUnavailable';
}

/** Milliseconds to wait for a broker that accepted the connection. It is slow while all services start at once. */
const setupTimeoutMs = 10_000;
/** Attempts to set up a channel for the first time, if the broker does not respond in time. */
const firstSetups = 4;
/** Minimum milliseconds between two equal log lines of one channel: attempts repeat endlessly. */
const repeatLogMs = 60_000;
/** Milliseconds to wait for a close: a connection that breaks meanwhile never reports it. */
const closeTimeoutMs = 2_000;

/**
 * A connection to RabbitMQ that reconnects by itself, with growing, jittered delays and no limit of attempts.
 * `RecoveringChannel` restores consumers and declarations on it.
 */
export class BrokerConnection implements BrokerIdentity {
  readonly operator: string | undefined;
  #login = '';
  #model: ChannelModel | undefined;
  #recovering: RecoveringChannelModel | undefined;
  readonly #logger = new Logger('broker');
  #isLost = false;
  readonly #connected = new Set<() => void>();
  readonly #refusalListeners: ((kind: string) => void)[] = [];

  /** @param options `operator`: see `BrokerIdentity`; without it every sender is trusted, because all share one login */
  constructor({ operator }: { operator?: string | undefined } = {}) {
    this.operator = operator;
  }

  /** True if every service has a login of its own: then senders are checked, and only the deploy step declares exchanges. */
  get hasLoginPerService(): boolean {
    return this.operator !== undefined;
  }

  /** Set by `open`. */
  get login(): string {
    return this.#login;
  }

  /** Runs for every refused message (unauthorized sender, too large, too many instances, unreadable grants), with its kind. */
  onRefusedMessage(listener: (kind: string) => void): void {
    this.#refusalListeners.push(listener);
  }

  /** Reports a refused message to the listeners of `onRefusedMessage`. */
  reportRefusedMessage(kind: string): void {
    for (const listener of this.#refusalListeners) listener(kind);
  }

  /** Undefined while the broker is unreachable. */
  get model(): ChannelModel | undefined {
    return this.#model;
  }

  /**
   * Connects.
   * @param url amqp:// or amqps://, with the query parameters of `toConnectOptions`
   * @param name the connection name on the broker's management page
   * @param firstAttempts number of attempts for the first connection; after the first success there is no limit
   * @throws Error if all first attempts failed, or a file that the address names cannot be read
   */
  async open(url: string, name: string, firstAttempts = 5): Promise<this> {
    const address = new URL(url);
    this.#login = decodeURIComponent(address.username) || 'guest';
    // A connection without two heartbeats in a row counts as lost.
    if (!address.searchParams.has('heartbeat')) address.searchParams.set('heartbeat', '5');
    this.#recovering = await connect(address.href, {
      ...toConnectOptions(url),
      // For the handshake only; later the heartbeat detects a hanging broker.
      timeout: setupTimeoutMs,
      // Without it a small message waits 40 ms for the acknowledgement of the previous one (Nagle's algorithm).
      noDelay: true,
      clientProperties: { connection_name: name },
      recovery: {
        initialDelay: 200,
        maxDelay: 5_000,
        initialMaxRetries: firstAttempts,
        waitForConnect: false,
      },
    });
    this.#recovering.on('connect', (model) => {
      this.#model = model;
      if (this.#isLost) this.#logger.log('connected to the broker again');
      this.#isLost = false;
      for (const listener of this.#connected) listener();
    });
    this.#recovering.on('disconnect', (error) => {
      this.#model = undefined;
      this.#logLost(error);
    });
    this.#recovering.on('connect-failed', (error) => this.#logLost(error));
    this.#recovering.on('error', (error) => this.#logLost(error));
    await this.#recovering.waitForConnect();
    return this;
  }

  /** Logs one line for each loss. */
  #logLost(error: Error | undefined): void {
    if (!this.#isLost) this.#logger.warn(`lost the broker: ${error?.message ?? 'it closed the connection'}`);
    this.#isLost = true;
  }

  /** Runs after every reconnect. @returns a function that removes the listener */
  onConnect(listener: () => void): () => void {
    this.#connected.add(listener);
    return () => void this.#connected.delete(listener);
  }

  async close(): Promise<void> {
    this.#model = undefined;
    await within(closeTimeoutMs, this.#recovering?.close()).catch(() => {});
  }
}

/**
 * A channel that is reopened after every loss: of its connection, by a channel error, or because the broker cancelled its
 * consumer. `setup` declares and consumes; it runs on every new channel.
 */
export class RecoveringChannel<C extends Channel = Channel> {
  readonly #logger = new Logger('RecoveringChannel');
  #channel: C | undefined;
  #closed = false;
  #attempt = 0;
  #reopening = false;
  #opening: Promise<void> | undefined;
  #stopFollowing = (): void => {};
  readonly #lastLines: { [level in 'warn' | 'error']?: { text: string; at: number } } = {};

  private readonly connection: BrokerConnection;
  private readonly create: (model: ChannelModel) => Promise<C>;
  private readonly setup: (channel: C) => Promise<void>;

  constructor(
    connection: BrokerConnection,
    create: (model: ChannelModel) => Promise<C>,
    setup: (channel: C) => Promise<void> = async () => {},
  ) {
    this.connection = connection;
    this.create = create;
    this.setup = setup;
  }

  /** Undefined while the channel is closed. */
  get current(): C | undefined {
    return this.#channel;
  }

  /**
   * Opens the channel and keeps it open; later if the broker is unreachable. Idempotent, and may be repeated after a failure.
   * @throws the first error of `setup`; BrokerUnavailable if the broker does not respond for 40 seconds
   */
  open(): Promise<void> {
    return (this.#opening ??= this.#openFirst().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    }));
  }

  async #openFirst(): Promise<void> {
    for (let attempt = 1; this.connection.model; attempt++) {
      try {
        await this.#openOn(this.connection.model);
        break;
      } catch (error) {
        if (!(error instanceof BrokerUnavailable) || this.#closed || attempt === firstSetups) throw error;
        this.#log('warn', `cannot open a channel, trying again: ${error.message}`);
      }
    }
    if (!this.#closed) this.#stopFollowing = this.connection.onConnect(() => this.#reopen(0));
  }

  async #openOn(model: ChannelModel): Promise<void> {
    const channel = await this.create(model);
    let lost = false;
    // 'close' always follows and reopens the channel. Only missing permissions need an operator.
    channel.on('error', ({ message }: Error) => {
      if (message.includes('ACCESS_REFUSED'))
        this.#log('error', `the broker refused an operation: ${message}`);
    });
    channel.on('close', () => {
      lost = true;
      if (this.#channel !== channel) return;
      this.#channel = undefined;
      this.#reopen(100);
    });
    try {
      // A queue without a leader does not respond: times out and retries.
      await within(setupTimeoutMs, this.setup(channel));
      if (lost) throw new BrokerUnavailable('the channel was closed by the broker');
      if (this.#closed) throw new BrokerUnavailable('the channel is not needed any more');
    } catch (error) {
      channel.close().catch(() => {}); // closed already
      throw error;
    }
    this.#channel = channel;
    this.#attempt = 0;
  }

  /**
   * Replaces a channel that does not respond, immediately.
   * @param graceMs milliseconds until the old channel is closed, for operations in progress
   */
  replace(channel: C, graceMs: number): void {
    if (this.#channel !== channel) return;
    this.#channel = undefined;
    setTimeout(() => channel.close().catch(() => {}), graceMs).unref();
    this.#reopen(0);
  }

  /** Retries, one attempt at a time, until the channel is open. Does nothing while the connection is lost. */
  #reopen(delay: number): void {
    if (this.#reopening || this.#closed || this.#channel) return;
    this.#reopening = true;
    setTimeout(async () => {
      let failed: Error | undefined;
      const { model } = this.connection;
      if (model && !this.#closed) await this.#openOn(model).catch((error: Error) => (failed = error));
      this.#reopening = false;
      if (!failed) return;
      this.#log('warn', `cannot open a channel, trying again: ${failed.message}`);
      this.#reopen(Math.min(100 * 2 ** this.#attempt++, 2_000) * (0.75 + Math.random() / 2));
    }, delay).unref();
  }

  #log(level: 'warn' | 'error', text: string): void {
    const last = this.#lastLines[level];
    const at = performance.now();
    if (last?.text === text && at - last.at < repeatLogMs) return;
    this.#lastLines[level] = { text, at };
    this.#logger[level](text);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopFollowing();
    const channel = this.#channel;
    this.#channel = undefined;
    await within(closeTimeoutMs, channel?.close()).catch(() => {});
  }
}

/** @throws BrokerUnavailable if `work` takes longer than `timeoutMs` */
export async function within<T>(timeoutMs: number, work: T | Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new BrokerUnavailable('the broker does not respond')), timeoutMs);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
