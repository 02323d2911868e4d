import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const root = resolve(process.env.JOGAKBO_WORKSPACE ?? join(import.meta.dirname, '..', '..', '..'));

/** The Node that runs everything: the workspace's own where there is one. */
export function nodePath(): string {
  const own = join(root, 'node_modules', '.bin', 'node');
  return existsSync(own) ? own : process.execPath;
}

export const nxPath = (): string => join(root, 'node_modules', '.bin', 'nx');

export interface App {
  name: string;
  folder: string;
  /** What it is started with, relative to the workspace. */
  main: string;
  hasDatabase: boolean;
}

/** Every deployable of the workspace; the folder is the list. */
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
