import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Before and after each commit, publish, confirm and acknowledgement of a service. */
export const crashPoints = ['commit', 'publish', 'confirm', 'ack'].flatMap((step) => [
  `before ${step}`,
  `after ${step}`,
]);

/** A point at which a service kills itself. */
export interface Crash {
  id: string;
  service: string;
  point: string;
  /** The nth time that the service reaches the point. */
  nth: number;
}

/** Content of the control file, which each service reads ten times a second. */
export interface ControlState {
  crashes: Crash[];
  /** Clock offset by service, in the format of libfaketime: `+3600`. */
  clocks: Record<string, string>;
}

/** Sends the control state to `inside.ts` in each service. */
export class ControlChannel {
  readonly #folder: string;
  readonly #state: ControlState = { crashes: [], clocks: {} };

  /** @param folder used by this channel only */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
    this.#write();
  }

  /** Environment variables that each service needs. */
  get environment(): NodeJS.ProcessEnv {
    return { CHAOS_FOLDER: this.#folder };
  }

  arm(crashes: Crash[]): void {
    this.#state.crashes.push(...crashes);
    this.#write();
  }

  /** Cancels the crashes that have not happened yet. @returns the crashes that happened */
  disarm(crashes: Crash[]): Crash[] {
    this.#state.crashes = this.#state.crashes.filter((one) => !crashes.includes(one));
    this.#write();
    return crashes.filter(({ id }) => this.hasCrashed(id));
  }

  hasCrashed(id: string): boolean {
    return existsSync(join(this.#folder, id));
  }

  setClock(service: string, offset: string): void {
    this.#state.clocks[service] = offset;
    this.#write();
  }

  #write(): void {
    const path = join(this.#folder, 'control.json');
    writeFileSync(`${path}.new`, JSON.stringify(this.#state));
    renameSync(`${path}.new`, path);
  }
}
