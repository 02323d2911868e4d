import { spawnSync } from 'node:child_process';
import { mkdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

const size = 1024 ** 3;

/** A disk of limited size for the database of a store. Requires the right to mount one (root on Linux). */
export class Disk {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** Call before the store starts. @returns undefined without the right to mount */
  static mountUnder(home: string): Disk | undefined {
    const path = join(home, 'postgres');
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return mount('-t', 'tmpfs', '-o', `size=${size},mode=700`, 'chaos', path) ? new Disk(path) : undefined;
  }

  /** Shrinks the disk to its used size. @returns that size (bytes), or undefined if it failed */
  fill(): number | undefined {
    // PostgreSQL writes concurrently, and the size cannot be less than the used size.
    for (let tries = 0; tries < 10; tries += 1) {
      const { blocks, bfree, bsize } = statfsSync(this.#path);
      const used = (blocks - bfree) * bsize;
      if (mount('-o', `remount,size=${used}`, this.#path)) return used;
    }
    return undefined;
  }

  empty(): void {
    mount('-o', `remount,size=${size}`, this.#path);
  }

  remove(): void {
    // Lazy, because a process that is about to exit may still use it.
    spawnSync('umount', ['--lazy', this.#path]);
  }
}

const mount = (...args: string[]): boolean => spawnSync('mount', args).status === 0;
