import { connect, type Channel, type ChannelModel, type RecoveringChannelModel } from 'amqplib';

/** The broker cannot be reached now. A fault: the caller may try again. */
export class BrokerUnavailable extends Error {
  override readonly name = 'BrokerUnavailable';
}

/** How long to wait for a broker that took the connection, in milliseconds. A start of all services at once is slow. */
const setupPatience = 10_000;

/**
 * One connection to RabbitMQ that comes back by itself, with growing, jittered delays and no limit of attempts.
 * What must exist on a connection is given to `onConnect` and is made anew after every reconnect.
 */
export class BrokerConnection {
  #model: ChannelModel | undefined;
  #recovering: RecoveringChannelModel | undefined;
  #setups: ((model: ChannelModel) => Promise<void>)[] = [];
  #lastFault: Error | undefined;

  /** Undefined while the broker is out of reach. */
  get model(): ChannelModel | undefined {
    return this.#model;
  }

  /** Why the broker is out of reach, for health. */
  get lastFault(): Error | undefined {
    return this.#lastFault;
  }

  /**
   * Connects.
   * @param url amqp:// or amqps://
   * @param name what the broker's management page shows for this connection
   * @param firstAttempts how often to try before giving up for good; after the first success there is no limit
   * @throws Error when the first attempts all failed
   */
  async open(url: string, name: string, firstAttempts = 5): Promise<this> {
    const address = new URL(url);
    // A broker that hangs is given up after two heartbeats that did not come.
    if (!address.searchParams.has('heartbeat')) address.searchParams.set('heartbeat', '5');
    this.#recovering = await connect(address.href, {
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
        setup: async (model: ChannelModel) => {
          // Between its opening and the end of set-up nobody else listens for this event.
          model.on('error', () => {});
          for (const setup of this.#setups) await setup(model);
        },
      },
    });
    this.#recovering.on('connect', (model) => {
      this.#model = model;
      this.#lastFault = undefined;
    });
    this.#recovering.on('disconnect', (error) => {
      this.#model = undefined;
      this.#lastFault = error;
    });
    this.#recovering.on('connect-failed', (error) => (this.#lastFault = error));
    this.#recovering.on('error', (error) => (this.#lastFault = error));
    await this.#recovering.waitForConnect();
    return this;
  }

  /** Runs now, if connected, and after every reconnect. @throws what `setup` throws now */
  async onConnect(setup: (model: ChannelModel) => Promise<void>): Promise<void> {
    this.#setups.push(setup);
    if (this.#model) await setup(this.#model);
  }

  async close(): Promise<void> {
    this.#model = undefined;
    await this.#recovering?.close();
  }
}

/**
 * A channel that is opened anew whenever it is lost: with its connection, by a protocol error, or because the broker
 * cancelled its consumer. `setup` declares and consumes; it runs on every new channel.
 */
export class KeptChannel<C extends Channel = Channel> {
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

  async open(): Promise<void> {
    await this.connection.onConnect(async (model) => {
      if (!this.#closed) await this.#openOn(model);
    });
  }

  async #openOn(model: ChannelModel): Promise<void> {
    const channel = await this.create(model);
    channel.on('error', () => {}); // 'close' always follows and is where it is mended
    channel.on('close', () => {
      if (this.#channel === channel) this.#channel = undefined;
      this.#reopenOn(model);
    });
    try {
      // A queue that has no leader yet answers nothing: begin again then.
      await within(setupPatience, this.setup(channel));
    } catch (error) {
      this.abandon(channel);
      throw error;
    }
    this.#channel = channel;
    this.#attempt = 0;
  }

  /** Closes a channel that does not do its work; a new one takes its place. */
  abandon(channel: C): void {
    if (this.#channel === channel) this.#channel = undefined;
    channel.close().catch(() => {}); // closed already
  }

  #reopenOn(model: ChannelModel): void {
    // A lost connection opens its channels itself.
    const needless = () => this.#closed || this.#channel || this.connection.model !== model;
    if (this.#reopening || needless()) return;
    this.#reopening = true;
    const delay = Math.min(100 * 2 ** this.#attempt++, 2_000) * (0.75 + Math.random() / 2);
    setTimeout(async () => {
      if (!needless()) await this.#openOn(model).catch(() => {});
      this.#reopening = false;
      this.#reopenOn(model);
    }, delay).unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const channel = this.#channel;
    this.#channel = undefined;
    await channel?.close().catch(() => {});
  }
}

async function within<T>(patience: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new BrokerUnavailable('the broker does not answer')), patience);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
