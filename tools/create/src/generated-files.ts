import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createProgram } from '@jogakbo/cli/src/command-line/program.ts';
import { renderReference, writeReference } from '@jogakbo/cli/src/commands/docs.ts';
import { renderFiles, readStoreMap } from '@jogakbo/cli/src/commands/map.ts';
import { buildComposeFile } from '@jogakbo/cli/src/compose/compose-file.ts';
import { codeOwnersFile, renderCodeOwners } from '@jogakbo/cli/src/owners/code-owners.ts';
import { build } from '@jogakbo/cli/src/supervisor/build.ts';
import { readWorkspaceDeclaration, readWorkspaceVersion } from '@jogakbo/cli/src/kubernetes-declaration.ts';
import { type App, listApps } from '@jogakbo/cli/src/workspace.ts';
import { readWorkspaceConfig } from '@jogakbo/contract/workspace';
import { renderFiles as renderKubernetesFiles, writeFiles } from '@jogakbo/delivery/src/kubernetes/files.ts';

/** Writes docker-compose.yml of a product. @param folder has all projects of the product and jogakbo.config.ts already */
export async function writeComposeFile(folder: string): Promise<void> {
  const text = buildComposeFile(listApps(folder), await readWorkspaceConfig(folder));
  writeFileSync(join(folder, 'docker-compose.yml'), text);
}

/** Writes docs/CODEOWNERS of a product. @param folder as for `writeComposeFile` */
export async function writeCodeOwners(folder: string): Promise<void> {
  const text = renderCodeOwners(listApps(folder), await readWorkspaceConfig(folder), folder);
  mkdirSync(join(folder, 'docs'), { recursive: true });
  writeFileSync(join(folder, codeOwnersFile), text);
}

/**
 * Builds the services of a product elsewhere: its packages are not installed yet.
 * @param origins the workspaces with the same services
 * @returns the apps of the product, with the folders of these builds
 * @throws CliError if the services cannot be built
 */
export async function buildApps(
  folder: string,
  origins: readonly string[],
  report: (text: string) => void,
): Promise<App[]> {
  const findOrigin = (name: string) =>
    origins.map((origin) => join(origin, 'apps', name)).find((path) => existsSync(path))!;
  const apps = listApps(folder).map((app) => ({ ...app, folder: findOrigin(app.name) }));
  await build(
    apps.map(({ name }) => name),
    report,
    new AbortController().signal,
  );
  return apps;
}

/** Writes docs/map of a product. @param apps built */
export function writeMap(folder: string, apps: readonly App[]): void {
  const target = join(folder, 'docs', 'map');
  mkdirSync(target, { recursive: true });
  for (const [name, text] of Object.entries(renderFiles(readStoreMap(apps))))
    writeFileSync(join(target, name), text);
}

/** Writes docs/reference of a product. @param apps built */
export function writeReferencePages(folder: string, apps: readonly App[]): void {
  writeReference(folder, renderReference(createProgram(), apps));
}

/** Writes the generated files in deploy/kubernetes of a product. @param apps built */
export async function writeKubernetesFiles(folder: string, apps: readonly App[]): Promise<void> {
  const declaration = await readWorkspaceDeclaration(apps, folder);
  writeFiles(folder, renderKubernetesFiles(declaration, readWorkspaceVersion(folder)));
}
