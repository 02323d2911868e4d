import { type FSWatcher, watch } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** Milliseconds that combine the steps of one save, or several files of one tool, into one build. */
const debounceMs = 25;

/**
 * Builds, and rebuilds when a file of the last build changes. It uses notifications of the operating system: esbuild's own
 * watch polls the files and sees a change up to two seconds late.
 * @param folder always watched, also while the first build fails
 * @param build returns the files that it read; undefined if it failed: then any change in their folders counts
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
      if (name === null || !files || files.has(join(path, name))) scheduleBuild();
    });
    watcher.on('error', () => watchers.delete(path));
    watchers.set(path, watcher);
  }
  function scheduleBuild(): void {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (running) again = true;
      else running = buildUntilCurrent().finally(() => (running = undefined));
    }, debounceMs);
  }
  async function buildUntilCurrent(): Promise<void> {
    do {
      again = false;
      const inputs = await build();
      files = inputs && new Set(inputs.map((file) => resolve(file)));
      for (const path of new Set([...(files ?? [])].map(dirname))) watchFolder(path);
    } while (again);
  }

  watchFolder(resolve(folder), true);
  running = buildUntilCurrent().finally(() => (running = undefined));
  await running;
}
