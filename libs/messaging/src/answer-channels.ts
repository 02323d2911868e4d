import type { Channel } from 'amqplib';
import { RecoveringChannel, type BrokerConnection } from './connection.ts';

/**
 * Channels for answers, one for each requesting login. If the broker refuses an answer it closes that channel only, and
 * answers to other logins are not affected.
 */
export class AnswerChannels {
  readonly #channels = new Map<string, { channel: RecoveringChannel; opened: Promise<void> }>();

  constructor(private readonly connection: BrokerConnection) {}

  /**
   * Opens the channel for answers to a login; undefined while the broker is unreachable.
   * @param requester a login that the broker has authenticated, so that the number of channels is bounded
   */
  async open(requester: string): Promise<Channel | undefined> {
    let entry = this.#channels.get(requester);
    if (!entry) {
      const channel = new RecoveringChannel(this.connection, (model) => model.createChannel());
      // If it cannot be opened now, the next answer tries again.
      entry = { channel, opened: channel.open().catch(() => void this.#channels.delete(requester)) };
      this.#channels.set(requester, entry);
    }
    if (!entry.channel.current) await entry.opened;
    return entry.channel.current;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#channels.values()].map(({ channel }) => channel.close()));
  }
}
