import { DecryptionKeys, encryptFor, Jwe } from './encryption.ts';
import type { Recipients } from './recipients.ts';
import { ServiceKey } from './service-key.ts';
import { RemoteFault } from './faults.ts';
import { answerKeyHeader } from './message-headers.ts';

/** The caller's side of encrypted requests. */
export class CallEncryption {
  /** Created with the first encrypted request and never stored: no answer outlives this process. */
  #answerKeys: DecryptionKeys | undefined;

  constructor(private readonly recipients: Recipients | undefined) {}

  /** Whether a request must be encrypted: the caller or the service declares it sensitive. */
  isRequired(name: string, sensitive: boolean | undefined): boolean {
    return sensitive === true || this.recipients?.isSensitive(name) === true;
  }

  /** @throws RemoteFault `unavailable` if no key of the service is known: the data is never sent unencrypted */
  async encrypt(name: string, data: unknown): Promise<{ data: Jwe; headers: Record<string, string> }> {
    const [service] = name.split('.', 1) as [string];
    const key = this.recipients?.getKey(service);
    if (!key) throw new RemoteFault('unavailable', `cannot encrypt ${name}: no key of ${service} is known`);
    this.#answerKeys ??= new DecryptionKeys(ServiceKey.random());
    const [answerKey] = this.#answerKeys.publicKeys;
    return {
      data: await encryptFor(key, data, name),
      headers: { [answerKeyHeader]: JSON.stringify(answerKey) },
    };
  }

  /** Decrypts an answer. @throws RemoteFault `contract-broken` if it is not encrypted for this caller */
  async decrypt(name: string, response: unknown): Promise<unknown> {
    try {
      if (response instanceof Jwe) return await this.#answerKeys!.decrypt(response, name);
    } catch {
      // The fault below reports it, without details.
    }
    throw new RemoteFault('contract-broken', `${name}: the answer is not encrypted for its caller`, true);
  }
}
