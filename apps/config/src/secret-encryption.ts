import { createHash, timingSafeEqual } from 'node:crypto';
import { encrypt, deriveKey, decrypt } from '@jogakbo/consistency';
import { clientKey } from '@jogakbo/service';
import { readBasicCredentials } from '@jogakbo/service/basic-credentials';
import { Injectable } from '@nestjs/common';
import type { Place } from './config-version.ts';
import { ConfigSettings } from './settings.ts';

const about = ({ application, profile, label }: Place, key: string): string =>
  `${application}/${profile}/${label} ${key}`;

/** Keeps secrets closed: at rest with the server's own key, on their way with that of the service they are for. */
@Injectable()
export class SecretEncryption {
  readonly #keys: Buffer[];
  readonly #clients: Map<string, { password: string; key: Buffer }>;

  constructor({ configKey, configClients }: ConfigSettings) {
    this.#keys = configKey.map((text) => deriveKey(text, 'config at rest'));
    this.#clients = new Map(
      Object.entries(configClients).map(([service, password]) => [
        service,
        { password, key: clientKey(service, password) },
      ]),
    );
  }

  /** A secret as it is kept. */
  encrypt(place: Place, key: string, text: string): string {
    return encrypt(this.#keys[0]!, text, about(place, key));
  }

  /** A kept secret in clear. @throws Error where none of the keys fits */
  decrypt(place: Place, key: string, sealed: string): string {
    for (const candidate of this.#keys) {
      try {
        return decrypt(candidate, sealed, about(place, key));
      } catch {
        // An older key may fit.
      }
    }
    throw new Error(`CONFIG_KEY does not open ${key} of ${place.application}`);
  }

  /** Whether somebody has this name, so that secrets can be sealed for them. */
  knows(service: string): boolean {
    return this.#clients.has(service);
  }

  get services(): string[] {
    return [...this.#clients.keys()];
  }

  /** A text that only this service can open, as what it is about. */
  encryptText(service: string, about: string, text: string): string {
    return encrypt(this.#clients.get(service)!.key, text, about);
  }

  /** A kept secret, sealed anew for one service. */
  encryptFor(service: string, place: Place, key: string, sealed: string): string {
    return this.encryptText(service, key, this.decrypt(place, key, sealed));
  }

  /** The service that the header of HTTP Basic proves; undefined where it proves nothing. */
  getClient(authorization: string | undefined): string | undefined {
    const given = readBasicCredentials(authorization);
    if (!given) return undefined;
    const { name: service, password } = given;
    const known = this.#clients.get(service);
    // An unknown name takes as long as a wrong password.
    const isRight = timingSafeEqual(digest(password), digest(known?.password ?? ''));
    return known && isRight ? service : undefined;
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
