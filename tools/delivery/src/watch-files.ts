import { type FSWatcher, watch } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** An editor writes a file in several steps, and a tool several files: one build for them. */
const settle = 25;

/**
 * Builds, and builds again when a file of the last build changes. esbuild's own watch asks every file in turn and sees a
 * change up to two seconds late; this one is told by the system.
 * @param folder watched in any case, also while the first build fails
 * @param build gives the files that it read; undefined where it failed: then any change in their folders counts
 */
export async function watchFiles(folder: string, build: () => Promise<string[] | undefined>): Promise<void> {
  const watchers = new Map<string, FSWatcher>();
  let files: Set<string> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let again = false;

  function watchFolder(path: string, recursive = false): void {
    if (watchers.has(path)) return;
    const watcher = watch(path, { recursive }, (_event, name) => {
      if (name === null || !files || files.has(join(path, name))) soon();
    });
    watcher.on('error', () => watchers.delete(path));
    watchers.set(path, watcher);
  }
  function soon(): void {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (running) again = true;
      else running = round().finally(() => (running = undefined));
    }, settle);
  }
  async function round(): Promise<void> {
    do {
      again = false;
      const inputs = await build();
      files = inputs && new Set(inputs.map((file) => resolve(file)));
      for (const path of new Set([...(files ?? [])].map(dirname))) watchFolder(path);
    } while (again);
  }

  watchFolder(resolve(folder), true);
  running = round().finally(() => (running = undefined));
  await running;
}
