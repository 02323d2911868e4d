import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readBusDescriptions } from '../bus-descriptions.ts';
import { drawMap } from '../map/map-drawing.ts';
import { formatMap, formatMarkdown } from '../map/map-pages.ts';
import { buildStoreMap, type Declared, type StoreMap } from '../map/store-map.ts';
import { UsageError } from '../terminal/cli-error.ts';
import { type App, listApps, root } from '../workspace.ts';
import { buildServices } from './build-services.ts';

export interface MapOptions {
  markdown?: boolean;
  write?: boolean;
  /** False to use the builds that exist. */
  build?: boolean;
}

export const mapFolder = join(root, 'docs', 'map');

/** Prints the map of the services, or writes it to docs/map. Builds the changed services first, unless told not to. */
export async function map({ markdown, write, build: isBuilt = true }: MapOptions): Promise<number> {
  if (markdown && write) throw new UsageError('--markdown and --write exclude each other.');
  if (isBuilt) await buildServices();
  const current = readStoreMap();
  if (!write) {
    console.log(markdown ? formatMarkdown(current).trimEnd() : formatMap(current));
    return 0;
  }
  mkdirSync(mapFolder, { recursive: true });
  for (const [name, text] of Object.entries(renderFiles(current))) {
    writeFileSync(join(mapFolder, name), text);
    console.log(`wrote docs/map/${name}`);
  }
  return 0;
}

/** The map of the current builds of these apps. @throws CliError if one of them is not built */
export function readStoreMap(apps: readonly App[] = listApps()): StoreMap {
  return buildStoreMap(
    readBusDescriptions(apps, apps),
    new Map(apps.map((app) => [app.name, readDeclared(app)])),
  );
}

/** The files of docs/map, by name. */
export const renderFiles = (current: StoreMap): Record<string, string> => ({
  'README.md': formatMarkdown(current, 'map.svg'),
  'map.svg': drawMap(current),
});

/** The owner and the servers that package.json declares. */
function readDeclared({ hasDatabase, manifest: { owner, uses } }: App): Declared {
  return { owner, uses: [...(hasDatabase ? ['PostgreSQL'] : []), ...uses] };
}
