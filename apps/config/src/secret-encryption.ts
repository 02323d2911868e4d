import { createHash, timingSafeEqual } from 'node:crypto';
import { encrypt, deriveKey, decrypt } from '@jogakbo/consistency';
import { deriveClientKey } from '@jogakbo/service';
import { readBasicCredentials } from '@jogakbo/service/basic-credentials';
import { Injectable } from '@nestjs/common';
import type { Place } from './config-version.ts';
import { ConfigSettings } from './settings.ts';

const toAssociatedData = ({ application, profile, label }: Place, key: string): string =>
  `${application}/${profile}/${label} ${key}`;

/** Encrypts secrets: at rest with `CONFIG_KEY`, and on the bus with the key of the recipient service. */
@Injectable()
export class SecretEncryption {
  readonly #keys: Buffer[];
  readonly #clients: Map<string, { password: string; key: Buffer }>;

  constructor({ configKey, configClients }: ConfigSettings) {
    this.#keys = configKey.map((text) => deriveKey(text, 'config at rest'));
    this.#clients = new Map(
      Object.entries(configClients).map(([service, password]) => [
        service,
        { password, key: deriveClientKey(service, password) },
      ]),
    );
  }

  /** Encrypts a secret for storage with the newest key. */
  encrypt(place: Place, key: string, text: string): string {
    return encrypt(this.#keys[0]!, text, toAssociatedData(place, key));
  }

  /** Decrypts a stored secret. @throws Error if no key decrypts it */
  decrypt(place: Place, key: string, encrypted: string): string {
    for (const candidate of this.#keys) {
      try {
        return decrypt(candidate, encrypted, toAssociatedData(place, key));
      } catch {
        // Try the next older key.
      }
    }
    throw new Error(
      `CONFIG_KEY does not decrypt ${key} of ${place.application}: add the key that encrypted it`,
    );
  }

  /** Whether the service has a config password, so that secrets can be encrypted for it. */
  hasClient(service: string): boolean {
    return this.#clients.has(service);
  }

  get services(): string[] {
    return [...this.#clients.keys()];
  }

  /** Encrypts a text for one service. Decryption requires the same associated data. */
  encryptText(service: string, associatedData: string, text: string): string {
    return encrypt(this.#clients.get(service)!.key, text, associatedData);
  }

  /** Re-encrypts a stored secret for one service. */
  encryptFor(service: string, place: Place, key: string, encrypted: string): string {
    return this.encryptText(service, key, this.decrypt(place, key, encrypted));
  }

  /** Returns the service that the HTTP Basic credentials authenticate, or undefined. */
  getClient(authorization: string | undefined): string | undefined {
    const given = readBasicCredentials(authorization);
    if (!given) return undefined;
    const { name: service, password } = given;
    const known = this.#clients.get(service);
    // Constant time: an unknown name takes as long as a wrong password.
    const isRight = timingSafeEqual(digest(password), digest(known?.password ?? ''));
    return known && isRight ? service : undefined;
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
