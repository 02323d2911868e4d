import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel } from 'amqplib';
import { RecoveringChannel, type BrokerConnection } from './connection.ts';

const reopenTimeoutMs = 2_000;
const pollIntervalMs = 20;

/**
 * Channels for answers, one for each requesting login. If the broker refuses an answer it closes that channel only, and
 * answers to other logins are not affected.
 */
export class AnswerChannels {
  readonly #channels = new Map<string, { channel: RecoveringChannel; opened: Promise<void> }>();

  constructor(private readonly connection: BrokerConnection) {}

  /**
   * Opens the channel for answers to a login, and waits while it is opened again.
   * @returns undefined if the broker is unreachable, or does not open it within two seconds
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
    // The broker closes it if it refuses an answer; that must not affect other answers to this login.
    const until = performance.now() + reopenTimeoutMs;
    while (!entry.channel.current && this.connection.model && performance.now() < until)
      await sleep(pollIntervalMs);
    return entry.channel.current;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#channels.values()].map(({ channel }) => channel.close()));
  }
}
