import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAppManifest } from '@jogakbo/contract/workspace';
import { repository } from './store.ts';

function listApps(): { name: string; hasDatabase: boolean }[] {
  return readdirSync(join(repository, 'apps'))
    .sort()
    .flatMap((name) => {
      const file = join(repository, 'apps', name, 'package.json');
      if (!existsSync(file)) return [];
      const { main, jogakbo } = JSON.parse(readFileSync(file, 'utf8')) as {
        main?: string;
        jogakbo?: unknown;
      };
      const { database } = parseAppManifest(jogakbo, file);
      return main === 'dist/main.js' ? [{ name, hasDatabase: database }] : [];
    });
}

const apps = listApps();

/** All services that a fault may affect. */
export const services: readonly string[] = apps.map(({ name }) => name);

/** The services with their own database, outbox, inbox and queues. */
export const stateful: readonly string[] = apps.flatMap(({ name, hasDatabase }) => (hasDatabase ? name : []));
