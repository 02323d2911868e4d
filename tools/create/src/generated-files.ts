import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderFiles, readStoreMap } from '@jogakbo/cli/src/commands/map.ts';
import { buildComposeFile } from '@jogakbo/cli/src/compose/compose-file.ts';
import { build } from '@jogakbo/cli/src/supervisor/build.ts';
import { listApps } from '@jogakbo/cli/src/workspace.ts';
import { readWorkspaceConfig } from '@jogakbo/contract/workspace';

/** Writes docker-compose.yml of a product. @param folder has all projects of the product and jogakbo.config.ts already */
export async function writeComposeFile(folder: string): Promise<void> {
  const text = buildComposeFile(listApps(folder), await readWorkspaceConfig(folder));
  writeFileSync(join(folder, 'docker-compose.yml'), text);
}

/**
 * Writes docs/map of a product, from builds of the same services elsewhere: its packages are not installed yet.
 * @param origins the workspaces with these services
 * @throws CliError if the services cannot be built
 */
export async function writeMap(
  folder: string,
  origins: readonly string[],
  report: (text: string) => void,
): Promise<void> {
  const findOrigin = (name: string) =>
    origins.map((origin) => join(origin, 'apps', name)).find((path) => existsSync(path))!;
  const apps = listApps(folder).map((app) => ({ ...app, folder: findOrigin(app.name) }));
  await build(
    apps.map(({ name }) => name),
    report,
    new AbortController().signal,
  );
  const target = join(folder, 'docs', 'map');
  mkdirSync(target, { recursive: true });
  for (const [name, text] of Object.entries(renderFiles(readStoreMap(apps))))
    writeFileSync(join(target, name), text);
}
