import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Around everything that a service says to its database or to the broker, and that must not be said halfway. */
export const crashPoints = ['commit', 'publish', 'confirm', 'ack'].flatMap((what) => [
  `before ${what}`,
  `after ${what}`,
]);

/** Where a service is to end itself. */
export interface Crash {
  id: string;
  service: string;
  point: string;
  /** At which passing. */
  nth: number;
}

/** What the services are told, in a file that each of them reads ten times a second. */
export interface Orders {
  crashes: Crash[];
  /** How far each clock is off, in the form of libfaketime: `+3600`. */
  clocks: Record<string, string>;
}

/** The other end of `inside.ts`. */
export class ControlChannel {
  readonly #folder: string;
  readonly #orders: Orders = { crashes: [], clocks: {} };

  /** @param folder of its own */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
    this.#write();
  }

  /** What a service must have in its environment. */
  get environment(): NodeJS.ProcessEnv {
    return { CHAOS_FOLDER: this.#folder };
  }

  arm(crashes: Crash[]): void {
    this.#orders.crashes.push(...crashes);
    this.#write();
  }

  /** Those that have not struck yet never will. @returns those that did */
  disarm(crashes: Crash[]): Crash[] {
    this.#orders.crashes = this.#orders.crashes.filter((one) => !crashes.includes(one));
    this.#write();
    return crashes.filter(({ id }) => this.hasStruck(id));
  }

  hasStruck(id: string): boolean {
    return existsSync(join(this.#folder, id));
  }

  setClock(service: string, offset: string): void {
    this.#orders.clocks[service] = offset;
    this.#write();
  }

  #write(): void {
    const path = join(this.#folder, 'orders.json');
    writeFileSync(`${path}.new`, JSON.stringify(this.#orders));
    renameSync(`${path}.new`, path);
  }
}
