import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './store.ts';

function listApps(): { name: string; hasDatabase: boolean }[] {
  const apps = join(repository, 'apps');
  return readdirSync(apps)
    .sort()
    .flatMap((name) => {
      const file = join(apps, name, 'package.json');
      if (!existsSync(file)) return [];
      const { main, dependencies = {} } = JSON.parse(readFileSync(file, 'utf8')) as {
        main?: string;
        dependencies?: Record<string, string>;
      };
      return main === 'dist/main.js' ? [{ name, hasDatabase: '@jogakbo/consistency' in dependencies }] : [];
    });
}

const apps = listApps();

/** All services that a fault may affect. */
export const services: readonly string[] = apps.map(({ name }) => name);

/** The services with their own database, outbox, inbox and queues. */
export const stateful: readonly string[] = apps.flatMap(({ name, hasDatabase }) => (hasDatabase ? name : []));
