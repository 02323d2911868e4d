import { DecryptionKeys, encryptFor, Jwe } from './encryption.ts';
import type { Recipients } from './recipients.ts';
import { ServiceKey } from './service-key.ts';
import { RemoteFault, replyKeyHeader } from './wire.ts';

/** The caller's side of encrypted requests. */
export class CallEncryption {
  /** Of this process alone: no answer outlives it. Made with the first encrypted request. */
  #answerKeys: DecryptionKeys | undefined;

  constructor(private readonly recipients: Recipients | undefined) {}

  /** Whether a request is encrypted: where its caller knows that it must be, or its service declares it. */
  isFor(name: string, sensitive: boolean | undefined): boolean {
    return sensitive === true || this.recipients?.isSensitive(name) === true;
  }

  /** @throws RemoteFault `unavailable` while the key of the service is not known: nothing is sent in clear */
  async encrypt(name: string, data: unknown): Promise<{ data: Jwe; headers: Record<string, string> }> {
    const [service] = name.split('.', 1) as [string];
    const key = this.recipients?.getKey(service);
    if (!key)
      throw new RemoteFault(
        'unavailable',
        `no key of ${service} is known that ${name} can be encrypted with`,
      );
    this.#answerKeys ??= new DecryptionKeys(ServiceKey.random());
    const [answerKey] = this.#answerKeys.publicKeys;
    return {
      data: await encryptFor(key, data, name),
      headers: { [replyKeyHeader]: JSON.stringify(answerKey) },
    };
  }

  /** The answer in clear. @throws RemoteFault `contract-broken` where it is not encrypted for this caller */
  async decrypt(name: string, response: unknown): Promise<unknown> {
    try {
      if (response instanceof Jwe) return await this.#answerKeys!.decrypt(response, name);
    } catch {
      // The fault below says what its caller must know.
    }
    throw new RemoteFault('contract-broken', `${name}: the answer is not encrypted for its caller`, true);
  }
}
