import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const root = resolve(process.env.JOGAKBO_WORKSPACE ?? join(import.meta.dirname, '..', '..', '..'));

/** The Node binary for all processes: the workspace's own if installed. */
export function nodePath(): string {
  const own = join(root, 'node_modules', '.bin', 'node');
  return existsSync(own) ? own : process.execPath;
}

export const nxPath = (): string => join(root, 'node_modules', '.bin', 'nx');

export interface App {
  name: string;
  folder: string;
  /** The entry point, relative to the workspace. */
  main: string;
  hasDatabase: boolean;
}

/** Lists every deployable app of the folder `apps`. */
export function listApps(workspace = root): App[] {
  const apps = join(workspace, 'apps');
  if (!existsSync(apps)) return [];
  return readdirSync(apps)
    .sort()
    .flatMap((name) => {
      const manifest = join(apps, name, 'package.json');
      if (!existsSync(manifest)) return [];
      const { main, dependencies = {} } = JSON.parse(readFileSync(manifest, 'utf8')) as {
        main?: string;
        dependencies?: Record<string, string>;
      };
      if (main !== 'dist/main.js') return [];
      return [
        {
          name,
          folder: join(apps, name),
          main: join('apps', name, main),
          hasDatabase: '@jogakbo/consistency' in dependencies,
        },
      ];
    });
}
