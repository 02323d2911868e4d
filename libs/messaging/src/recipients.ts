import type { Announcement, EncryptionKey } from '@jogakbo/contract';

/** What a sender must know of the services that it sends to. */
export interface Recipients {
  /** What to encrypt data for a service with; undefined where it has announced no key yet. */
  keyOf(service: string): EncryptionKey | undefined;
  /** Whether a request must be encrypted, as far as its service has announced it. */
  isSensitive(name: string): boolean;
}

/** Learns the keys of other services from what their instances announce. */
export class AnnouncedRecipients implements Recipients {
  readonly #lastKeys: Map<string, EncryptionKey>;
  readonly #sensitive = new Set<string>();

  /**
   * @param present the instances that are there now, the newest one first
   * @param known keys that need not be announced, by service: one's own
   */
  constructor(
    private readonly present: () => readonly Announcement[],
    known: Iterable<[service: string, key: EncryptionKey]> = [],
  ) {
    this.#lastKeys = new Map(known);
  }

  /** To be given every announcement that is heard from the service that it is about. */
  hear({ service, upstream, encryptionKeys, contract }: Announcement): void {
    if (upstream) return;
    const [key] = encryptionKeys ?? [];
    if (key && !this.#lastKeys.has(service)) this.#lastKeys.set(service, key);
    for (const { name, sensitive } of contract.requests) if (sensitive) this.#sensitive.add(name);
  }

  /**
   * While a service rotates its key, not every instance has the new one: the newest key that all of them have. While
   * none is there, the last one that was in use: what is sent meanwhile waits in the queue.
   */
  keyOf(service: string): EncryptionKey | undefined {
    const [newest, ...others] = this.present().flatMap((one) =>
      one.service === service && !one.upstream && one.encryptionKeys?.[0] ? [one.encryptionKeys] : [],
    );
    if (newest) {
      const isKnownToAll = ({ kid }: EncryptionKey) =>
        others.every((keys) => keys.some((key) => key.kid === kid));
      this.#lastKeys.set(service, newest.find(isKnownToAll) ?? newest[0]!);
    }
    return this.#lastKeys.get(service);
  }

  isSensitive(name: string): boolean {
    return this.#sensitive.has(name);
  }
}
