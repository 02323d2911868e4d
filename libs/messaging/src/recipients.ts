import type { Announcement, EncryptionKey } from '@jogakbo/contract';
import type { Grants } from './grants.ts';

/** What a sender must know of the services that it sends to. */
export interface Recipients {
  /** What to encrypt data for a service with; undefined where no key of it is known. */
  getKey(service: string): EncryptionKey | undefined;
  /** Whether a request must be encrypted, as far as it is known. */
  isSensitive(name: string): boolean;
}

/**
 * The keys of other services, and which requests must be encrypted. Where every service has a login of its own, both are
 * what the deploy step registered: a login alone does not make its holder the receiver. Announcements then only say which
 * of the registered keys all running instances have. With one login for all, keys are believed as announced.
 */
export class KnownRecipients implements Recipients {
  readonly #lastKeys: Map<string, EncryptionKey>;
  readonly #sensitive = new Set<string>();

  /**
   * @param present the instances that are there now, the newest one first
   * @param registered what the deploy step registered; undefined where services have no logins of their own
   * @param known keys that need not be announced, by service: one's own
   */
  constructor(
    private readonly present: () => readonly Announcement[],
    private readonly registered: () => Pick<Grants, 'getKeys' | 'isSensitive'> | undefined = () => undefined,
    private readonly known: Iterable<[service: string, key: EncryptionKey]> = [],
  ) {
    this.#lastKeys = new Map(known);
  }

  /** To be given every announcement that is heard from the service that it is about. */
  hear({ service, upstream, encryptionKeys, contract }: Announcement): void {
    if (upstream || this.registered()) return;
    const [key] = encryptionKeys ?? [];
    if (key && !this.#lastKeys.has(service)) this.#lastKeys.set(service, key);
    for (const { name, sensitive } of contract.requests) if (sensitive) this.#sensitive.add(name);
  }

  /**
   * While a service rotates its key, not every instance has the new one: the newest key that all of them have. While
   * none is there, one that all of them will have: what is sent meanwhile waits in the queue.
   */
  getKey(service: string): EncryptionKey | undefined {
    const registered = this.registered();
    if (!registered) return this.#getAnnouncedKey(service);
    const keys = registered.getKeys(service);
    if (keys.length === 0) return new Map(this.known).get(service);
    const held = this.#announcedKeys(service)
      .map((some) => new Set(some.map(({ kid }) => kid)))
      // An instance without any of them cannot decrypt what it gets, whatever is used.
      .filter((kids) => keys.some(({ kid }) => kids.has(kid)));
    const isHeldByAll = ({ kid }: EncryptionKey) => held.every((kids) => kids.has(kid));
    return (held.length > 0 ? keys.find(isHeldByAll) : undefined) ?? keys.at(-1);
  }

  isSensitive(name: string): boolean {
    return this.registered()?.isSensitive(name) ?? this.#sensitive.has(name);
  }

  #getAnnouncedKey(service: string): EncryptionKey | undefined {
    const [newest, ...others] = this.#announcedKeys(service);
    if (newest) {
      const isKnownToAll = ({ kid }: EncryptionKey) =>
        others.every((keys) => keys.some((key) => key.kid === kid));
      this.#lastKeys.set(service, newest.find(isKnownToAll) ?? newest[0]!);
    }
    return this.#lastKeys.get(service);
  }

  /** Of each instance that has any. */
  #announcedKeys = (service: string): EncryptionKey[][] =>
    this.present().flatMap(({ service: name, upstream, encryptionKeys = [] }) =>
      name === service && !upstream && encryptionKeys.length > 0 ? [encryptionKeys] : [],
    );
}
