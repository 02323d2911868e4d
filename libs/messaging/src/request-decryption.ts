import { EncryptionKey, platformRejection, type AnyContract } from '@jogakbo/contract';
import { encryptFor, Jwe, type DecryptionKeys } from './encryption.ts';
import type { Incoming } from './decoding.ts';
import { RemoteFault } from './faults.ts';
import { answerKeyHeader } from './message-headers.ts';

/** A sensitive request arrived unencrypted. It is refused even though the data is readable. */
export class NotEncrypted extends RemoteFault {
  constructor(name: string) {
    super('encryption-required', `${name} is sensitive: its data must be encrypted for its service`);
  }
}

/** Decrypts requests and encrypts their answers, on the receiver's side. */
export class RequestDecryption {
  /** Settles when all messages received so far are decrypted; undefined if none is being decrypted. */
  #arrived: Promise<unknown> | undefined;

  constructor(private readonly keys: DecryptionKeys | undefined) {}

  /**
   * Returns the message with decrypted data. `decrypt` is asynchronous: without waiting for earlier decryptions a plain
   * message of the same delivery would overtake an encrypted one.
   * @throws NotEncrypted @throws UnknownKey @throws DecryptionFailed
   */
  open(contract: AnyContract, incoming: Incoming): Promise<Incoming> {
    const before = this.#arrived;
    const decrypting = this.#decrypt(contract, incoming);
    if (!before && !(incoming.data instanceof Jwe)) return decrypting;
    decrypting.catch(() => {}); // thrown below, after the earlier messages
    const opened = Promise.resolve(before).then(() => decrypting);
    const arrived = opened.then(
      () => {},
      () => {},
    );
    this.#arrived = arrived;
    void arrived.then(() => {
      if (this.#arrived === arrived) this.#arrived = undefined;
    });
    return opened;
  }

  async #decrypt(contract: AnyContract, incoming: Incoming): Promise<Incoming> {
    const { data } = incoming;
    if (!(data instanceof Jwe)) {
      if (isSensitive(contract)) throw new NotEncrypted(contract.name);
      return incoming;
    }
    if (!this.keys)
      throw new RemoteFault('internal', `${contract.name}: this service has no decryption keys`);
    return { ...incoming, data: await this.keys.decrypt(data, contract.name) };
  }

  /**
   * Returns a function that encrypts the response to a request, if it must be encrypted.
   * @param incoming the message before decryption
   * @throws Rejection `invalid` if it must be encrypted and the caller sent no key
   */
  createResponseEncryptor(contract: AnyContract, incoming: Incoming): (response: unknown) => unknown {
    const { data, replyTo, headers } = incoming;
    if (replyTo === undefined || !(data instanceof Jwe || isSensitive(contract)))
      return (response) => response;
    const key = parseKey(headers[answerKeyHeader]);
    if (!key) {
      const message = 'an encrypted request needs a public key for the encryption of its answer';
      throw platformRejection('invalid', message, [{ path: answerKeyHeader, message: 'not an X25519 JWK' }]);
    }
    return (response) => encryptFor(key, response, contract.name);
  }
}

export const isSensitive = (contract: AnyContract): boolean =>
  contract.kind !== 'event' && contract.sensitive;

function parseKey(header: unknown): EncryptionKey | undefined {
  try {
    return EncryptionKey.parse(JSON.parse(String(header)));
  } catch {
    return undefined;
  }
}
