import type { Announcement, EncryptionKey } from '@jogakbo/contract';
import type { Grants } from './grants.ts';

/** Data that a sender needs about receiving services. */
export interface Recipients {
  /** The key to encrypt data for a service with; undefined if none is known. */
  getKey(service: string): EncryptionKey | undefined;
  /** Whether a request must be encrypted, as far as it is known. */
  isSensitive(name: string): boolean;
}

/**
 * The keys of other services, and the requests that must be encrypted. If every service has a login of its own, both come
 * from the deploy step, so that a stolen login does not suffice to receive data. Announcements then only select among the
 * registered keys. With one login for all, announced keys are trusted.
 */
export class KnownRecipients implements Recipients {
  readonly #lastKeys: Map<string, EncryptionKey>;
  readonly #sensitive = new Set<string>();

  /**
   * @param listInstances the present instances, the newest one first
   * @param getGrants the grants of the deploy step; undefined if all services share one login
   * @param ownKeys keys of this service, which need no announcement, by service
   */
  constructor(
    private readonly listInstances: () => readonly Announcement[],
    private readonly getGrants: () => Pick<Grants, 'getKeys' | 'isSensitive'> | undefined = () => undefined,
    private readonly ownKeys: Iterable<[service: string, key: EncryptionKey]> = [],
  ) {
    this.#lastKeys = new Map(ownKeys);
  }

  /** Must receive every accepted announcement. */
  receiveAnnouncement({ service, upstream, encryptionKeys, contract }: Announcement): void {
    if (upstream || this.getGrants()) return;
    const [key] = encryptionKeys ?? [];
    if (key && !this.#lastKeys.has(service)) this.#lastKeys.set(service, key);
    for (const { name, sensitive } of contract.requests) if (sensitive) this.#sensitive.add(name);
  }

  /**
   * Returns the newest key that all present instances have: during a rotation the instances that have not been restarted
   * lack the newest one. Without present instances it returns the oldest registered key, which instances before and after
   * a rotation have.
   */
  getKey(service: string): EncryptionKey | undefined {
    const grants = this.getGrants();
    if (!grants) return this.#getAnnouncedKey(service);
    const keys = grants.getKeys(service);
    if (keys.length === 0) return new Map(this.ownKeys).get(service);
    const held = this.#listAnnouncedKeys(service)
      .map((some) => new Set(some.map(({ kid }) => kid)))
      // An instance without any of them cannot decrypt data, whichever key is used.
      .filter((kids) => keys.some(({ kid }) => kids.has(kid)));
    const isHeldByAll = ({ kid }: EncryptionKey) => held.every((kids) => kids.has(kid));
    return (held.length > 0 ? keys.find(isHeldByAll) : undefined) ?? keys.at(-1);
  }

  isSensitive(name: string): boolean {
    return this.getGrants()?.isSensitive(name) ?? this.#sensitive.has(name);
  }

  #getAnnouncedKey(service: string): EncryptionKey | undefined {
    const [newest, ...others] = this.#listAnnouncedKeys(service);
    if (newest) {
      const isKnownToAll = ({ kid }: EncryptionKey) =>
        others.every((keys) => keys.some((key) => key.kid === kid));
      this.#lastKeys.set(service, newest.find(isKnownToAll) ?? newest[0]!);
    }
    return this.#lastKeys.get(service);
  }

  /** The announced keys of each instance that has any. */
  #listAnnouncedKeys = (service: string): EncryptionKey[][] =>
    this.listInstances().flatMap(({ service: name, upstream, encryptionKeys = [] }) =>
      name === service && !upstream && encryptionKeys.length > 0 ? [encryptionKeys] : [],
    );
}
