import { spawnSync } from 'node:child_process';
import { mkdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

const size = 1024 ** 3;

/** A disk of limited size under the database of a store, for whoever may mount one (root on Linux). */
export class Disk {
  readonly #at: string;

  private constructor(at: string) {
    this.#at = at;
  }

  /** Before the store is started. @returns undefined where nothing may be mounted */
  static under(home: string): Disk | undefined {
    const at = join(home, 'postgres');
    mkdirSync(at, { recursive: true, mode: 0o700 });
    return mount('-t', 'tmpfs', '-o', `size=${size},mode=700`, 'chaos', at) ? new Disk(at) : undefined;
  }

  /** Full: as small as what lies on it. @returns the size (bytes), or undefined where it could not be done */
  fill(): number | undefined {
    // It is written to meanwhile, and cannot become smaller than it is.
    for (let tries = 0; tries < 10; tries += 1) {
      const { blocks, bfree, bsize } = statfsSync(this.#at);
      const used = (blocks - bfree) * bsize;
      if (mount('-o', `remount,size=${used}`, this.#at)) return used;
    }
    return undefined;
  }

  empty(): void {
    mount('-o', `remount,size=${size}`, this.#at);
  }

  remove(): void {
    // Lazily, for a process that is about to end may still hold it.
    spawnSync('umount', ['--lazy', this.#at]);
  }
}

const mount = (...args: string[]): boolean => spawnSync('mount', args).status === 0;
