import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type AppManifest, parseAppManifest } from '@jogakbo/contract/workspace';

export const root = resolve(process.env.JOGAKBO_WORKSPACE ?? join(import.meta.dirname, '..', '..', '..'));

/** Compiled code of all processes of the workspace: half the time to load a program. */
export const compileCache = join(root, '.jogakbo', 'compile-cache');

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
  version: string;
  hasDatabase: boolean;
  /** What its package.json declares. */
  manifest: AppManifest;
}

/** Lists every deployable app of the folder `apps`. @throws Error if a package.json declares something invalid */
export function listApps(workspace = root): App[] {
  const apps = join(workspace, 'apps');
  if (!existsSync(apps)) return [];
  return readdirSync(apps)
    .sort()
    .flatMap((name) => {
      const file = join(apps, name, 'package.json');
      if (!existsSync(file)) return [];
      const {
        main,
        version = '0.0.0',
        jogakbo,
      } = JSON.parse(readFileSync(file, 'utf8')) as { main?: string; version?: string; jogakbo?: unknown };
      if (main !== 'dist/main.js') return [];
      const manifest = parseAppManifest(jogakbo, join('apps', name, 'package.json'));
      const hasDatabase = manifest.database;
      const folder = join(apps, name);
      return [{ name, folder, main: join('apps', name, main), version, hasDatabase, manifest }];
    });
}

export interface Project {
  name: string;
  tags: string[];
}

/** Lists every Nx project of the workspace: a package, or a folder with a project.json. */
export function listProjects(): Project[] {
  const isExcluded = (path: string) => /(^|\/)(node_modules|dist)$/.test(path);
  return globSync('{apps,libs,tools}/**/{package,project}.json', { cwd: root, exclude: isExcluded })
    .map((file) => JSON.parse(readFileSync(join(root, file), 'utf8')) as Partial<Project> & { nx?: Project })
    .map(({ nx, name, tags = [] }) => nx ?? { name: name!, tags });
}
