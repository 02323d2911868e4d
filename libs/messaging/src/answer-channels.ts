import type { Channel } from 'amqplib';
import { RecoveringChannel, type BrokerConnection } from './connection.ts';

/**
 * Channels for answers, one for each login that asks. The broker closes a channel on which it refuses an answer; answers
 * to other logins go on.
 */
export class AnswerChannels {
  readonly #channels = new Map<string, { kept: RecoveringChannel; opened: Promise<void> }>();

  constructor(private readonly connection: BrokerConnection) {}

  /**
   * The channel for answers to a login; undefined while the broker is out of reach.
   * @param asker a login that the broker has checked, so that their number is bounded
   */
  async open(asker: string): Promise<Channel | undefined> {
    let channel = this.#channels.get(asker);
    if (!channel) {
      const kept = new RecoveringChannel(this.connection, (model) => model.createChannel());
      // Where it cannot be opened now, the next answer tries again.
      channel = { kept, opened: kept.open().catch(() => void this.#channels.delete(asker)) };
      this.#channels.set(asker, channel);
    }
    if (!channel.kept.current) await channel.opened;
    return channel.kept.current;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#channels.values()].map(({ kept }) => kept.close()));
  }
}
