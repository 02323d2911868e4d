import { Logger } from '@nestjs/common';
import { connect, type Channel, type ChannelModel, type RecoveringChannelModel } from 'amqplib';
import { toConnectOptions } from './address.ts';
import type { BrokerIdentity } from './identity.ts';

/** The broker cannot be reached now. A fault: the caller may try again. */
export class BrokerUnavailable extends Error {
  override readonly name = 'BrokerUnavailable';
}

/** How long to wait for a broker that took the connection, in milliseconds. A start of all services at once is slow. */
const setupPatience = 10_000;
/** A connection that breaks while it is being closed never says that it is closed. */
const closePatience = 2_000;

/**
 * One connection to RabbitMQ that comes back by itself, with growing, jittered delays and no limit of attempts.
 * What must exist on it is a KeptChannel's.
 */
export class BrokerConnection implements BrokerIdentity {
  readonly operator: string | undefined;
  #login = '';
  #model: ChannelModel | undefined;
  #recovering: RecoveringChannelModel | undefined;
  readonly #logger = new Logger('broker');
  #isLost = false;
  readonly #connected: (() => void)[] = [];
  readonly #strangers: ((kind: string) => void)[] = [];

  /** @param standing `operator`: see Standing; without it everybody is believed, for all share one login */
  constructor({ operator }: { operator?: string | undefined } = {}) {
    this.operator = operator;
  }

  /** Known once it is opened. */
  get login(): string {
    return this.#login;
  }

  /** Runs for every message that was refused because of who sent it, with what kind of message it was. */
  onStranger(tell: (kind: string) => void): void {
    this.#strangers.push(tell);
  }

  /** Counts a message that was refused because of who sent it. */
  refuseStranger(kind: string): void {
    for (const tell of this.#strangers) tell(kind);
  }

  /** Undefined while the broker is out of reach. */
  get model(): ChannelModel | undefined {
    return this.#model;
  }

  /**
   * Connects.
   * @param url amqp:// or amqps://, with what `toConnectOptions` reads
   * @param name what the broker's management page shows for this connection
   * @param firstAttempts how often to try before giving up for good; after the first success there is no limit
   * @throws Error when the first attempts all failed, or a file that the address names cannot be read
   */
  async open(url: string, name: string, firstAttempts = 5): Promise<this> {
    const address = new URL(url);
    this.#login = decodeURIComponent(address.username) || 'guest';
    // A broker that hangs is given up after two heartbeats that did not come.
    if (!address.searchParams.has('heartbeat')) address.searchParams.set('heartbeat', '5');
    this.#recovering = await connect(address.href, {
      ...toConnectOptions(url),
      // For the handshake alone; afterwards the heartbeat watches.
      timeout: setupPatience,
      // A lone small message otherwise waits 40 ms for the acknowledgement of the one before (Nagle).
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
      if (this.#isLost) this.#logger.log('the broker is back');
      this.#isLost = false;
      for (const tell of this.#connected) tell();
    });
    this.#recovering.on('disconnect', (error) => {
      this.#model = undefined;
      this.#sayLost(error);
    });
    this.#recovering.on('connect-failed', (error) => this.#sayLost(error));
    this.#recovering.on('error', (error) => this.#sayLost(error));
    await this.#recovering.waitForConnect();
    return this;
  }

  /** Once for each time that it is lost. */
  #sayLost(error: Error | undefined): void {
    if (!this.#isLost) this.#logger.warn(`the broker is out of reach: ${error?.message ?? 'it hung up'}`);
    this.#isLost = true;
  }

  /** Runs after every reconnect. */
  onConnect(tell: () => void): void {
    this.#connected.push(tell);
  }

  async close(): Promise<void> {
    this.#model = undefined;
    await within(closePatience, this.#recovering?.close()).catch(() => {});
  }
}

/**
 * A channel that is opened anew whenever it is lost: with its connection, by a protocol error, or because the broker
 * cancelled its consumer. `setup` declares and consumes; it runs on every new channel.
 */
export class RecoveringChannel<C extends Channel = Channel> {
  readonly #logger = new Logger('KeptChannel');
  #channel: C | undefined;
  #closed = false;
  #attempt = 0;
  #reopening = false;

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

  /** Undefined while lost. */
  get current(): C | undefined {
    return this.#channel;
  }

  /** Opens the channel and keeps it; where the broker is away, later. @throws what `setup` throws this first time */
  async open(): Promise<void> {
    if (this.connection.model) await this.#openOn(this.connection.model);
    this.connection.onConnect(() => this.#reopen(0));
  }

  async #openOn(model: ChannelModel): Promise<void> {
    const channel = await this.create(model);
    let lost = false;
    // 'close' always follows and is where it is mended. Only what the broker forbids is somebody else's to mend.
    channel.on('error', ({ message }: Error) => {
      if (message.includes('ACCESS_REFUSED')) this.#logger.error(`the broker refuses: ${message}`);
    });
    channel.on('close', () => {
      lost = true;
      if (this.#channel !== channel) return;
      this.#channel = undefined;
      this.#reopen(100);
    });
    try {
      // A queue that has no leader yet answers nothing: begin again then.
      await within(setupPatience, this.setup(channel));
      if (lost) throw new BrokerUnavailable('the channel was lost');
      if (this.#closed) throw new BrokerUnavailable('the channel is not wanted any more');
    } catch (error) {
      channel.close().catch(() => {}); // closed already
      throw error;
    }
    this.#channel = channel;
    this.#attempt = 0;
  }

  /**
   * Opens a new channel in place of one that does not do its work, at once.
   * @param grace what is under way on the old one may still end within so many milliseconds
   */
  replace(channel: C, grace: number): void {
    if (this.#channel !== channel) return;
    this.#channel = undefined;
    setTimeout(() => channel.close().catch(() => {}), grace).unref();
    this.#reopen(0);
  }

  /** One attempt at a time, until the channel is open. While the connection is lost it waits for that. */
  #reopen(delay: number): void {
    if (this.#reopening || this.#closed || this.#channel) return;
    this.#reopening = true;
    setTimeout(async () => {
      let failed: Error | undefined;
      const { model } = this.connection;
      if (model && !this.#closed) await this.#openOn(model).catch((error: Error) => (failed = error));
      this.#reopening = false;
      if (!failed) return;
      this.#logger.warn(`a channel cannot be opened: ${failed.message}`);
      this.#reopen(Math.min(100 * 2 ** this.#attempt++, 2_000) * (0.75 + Math.random() / 2));
    }, delay).unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const channel = this.#channel;
    this.#channel = undefined;
    await within(closePatience, channel?.close()).catch(() => {});
  }
}

/** @throws BrokerUnavailable where `work` takes longer than `patience` milliseconds */
export async function within<T>(patience: number, work: T | Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new BrokerUnavailable('the broker does not answer')), patience);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
