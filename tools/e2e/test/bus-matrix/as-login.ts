import { connect, type ChannelModel, type ConfirmChannel } from 'amqplib';

/** Result of an operation at the broker: done, or rejected for lack of permission. */
export type Verdict = 'allowed' | 'refused';

/** Tries operations with a broker login. A rejection closes the channel, so the next attempt opens a new one. */
export class AsLogin {
  readonly #model: ChannelModel;
  #open: { channel: ConfirmChannel; refused: Promise<Error> } | undefined;

  private constructor(model: ChannelModel) {
    this.#model = model;
  }

  static async open(url: string): Promise<AsLogin> {
    const model = await connect(url, { noDelay: true });
    model.on('error', () => undefined);
    return new AsLogin(model);
  }

  /** @throws Error that is not about permissions */
  async try(operation: (channel: ConfirmChannel) => Promise<unknown>): Promise<Verdict> {
    const { channel, refused } = (this.#open ??= await this.#newChannel());
    const done = await Promise.race([operation(channel).catch(() => refused), refused]);
    if (!(done instanceof Error)) return 'allowed';
    this.#open = undefined;
    if (/ACCESS.REFUSED|user_id property set to/.test(done.message)) return 'refused';
    throw done;
  }

  publish(exchange: string, key: string, userId?: string): Promise<Verdict> {
    return this.try(async (channel) => {
      channel.publish(exchange, key, Buffer.from('{}'), userId === undefined ? {} : { userId });
      await channel.waitForConfirms();
    });
  }

  async #newChannel() {
    const channel = await this.#model.createConfirmChannel();
    return { channel, refused: new Promise<Error>((resolve) => channel.on('error', resolve)) };
  }

  async close(): Promise<void> {
    await this.#model.close();
  }
}
