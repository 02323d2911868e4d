import { EncryptionKey, platformRejection, type AnyContract } from '@jogakbo/contract';
import { encryptFor, Jwe, type DecryptionKeys } from './encryption.ts';
import { RemoteFault, replyKeyHeader, type Incoming } from './wire.ts';

/** A sensitive request that came in clear: it is refused, so that no sender gets used to that. */
export class NotEncrypted extends RemoteFault {
  constructor(name: string) {
    super('encryption-required', `${name} is sensitive: its data must be encrypted for its service`);
  }
}

/** The receiver's side of encrypted requests. */
export class RequestDecryption {
  /** Settled when all that arrived so far is decrypted; undefined where nothing is being decrypted. */
  #arrived: Promise<unknown> | undefined;

  constructor(private readonly keys: DecryptionKeys | undefined) {}

  /**
   * What arrived, with its data in clear. What arrives while something is being decrypted waits for that: no message
   * overtakes an earlier one.
   * @throws NotEncrypted @throws UnknownKey @throws DecryptionFailed
   */
  open(contract: AnyContract, incoming: Incoming): Promise<Incoming> {
    const before = this.#arrived;
    const decrypting = this.#decrypt(contract, incoming);
    if (!before && !(incoming.data instanceof Jwe)) return decrypting;
    decrypting.catch(() => {}); // thrown below, after what came before
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
    if (!this.keys) throw new RemoteFault('internal', `${contract.name} cannot be decrypted here`);
    return { ...incoming, data: await this.keys.decrypt(data, contract.name) };
  }

  /**
   * What encrypts the response to a request.
   * @param incoming as it arrived
   * @throws Rejection `invalid` where it must be encrypted, and the caller gave no key for that
   */
  responder(contract: AnyContract, incoming: Incoming): (response: unknown) => unknown {
    const { data, replyTo, headers } = incoming;
    if (replyTo === undefined || !(data instanceof Jwe || isSensitive(contract)))
      return (response) => response;
    const key = parseKey(headers[replyKeyHeader]);
    if (!key) {
      const message = 'an encrypted request needs a public key that its answer is encrypted with';
      throw platformRejection('invalid', message, [{ path: replyKeyHeader, message: 'not a JWK of X25519' }]);
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
