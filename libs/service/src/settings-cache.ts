import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { ServerValue } from './setting-state.ts';

/**
 * Keeps the last values from the config server in a file, for a start without it. Secrets stay encrypted. The first write
 * creates its folder.
 */
export class SettingsCache {
  /** @param path undefined to keep nothing */
  constructor(private readonly path: string | undefined) {}

  /** Empty without a readable file. */
  read(): Map<string, ServerValue> {
    try {
      return new Map(JSON.parse(readFileSync(this.path!, 'utf8')) as [string, ServerValue][]);
    } catch {
      return new Map();
    }
  }

  /** @throws Error such as a full disk; the previous file stays */
  write(values: ReadonlyMap<string, ServerValue>): void {
    if (!this.path || isDeepStrictEqual(this.read(), values)) return;
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
    const draft = `${this.path}.${process.pid}.tmp`;
    writeFileSync(draft, JSON.stringify([...values]), { mode: 0o600 });
    chmodSync(draft, 0o600);
    renameSync(draft, this.path);
  }
}
