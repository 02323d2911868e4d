import { globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { readBuiltContracts } from '../built-contracts.ts';
import { readBusDescriptions } from '../bus-descriptions.ts';
import { formatCommands } from '../reference/command-page.ts';
import { formatContract, formatEvents } from '../reference/contract-pages.ts';
import { formatSettings } from '../reference/settings-page.ts';
import { type App, listApps, root } from '../workspace.ts';
import { buildServices } from './build-services.ts';

export interface DocsOptions {
  write?: boolean;
  /** False to use the builds that exist. */
  build?: boolean;
}

/** The folder of the generated pages, relative to the workspace. */
export const referenceFolder = join('docs', 'reference');

/** Lists the pages of the reference, or writes them. Builds the changed services first, unless told not to. */
export async function docs(program: Command, { write, build: isBuilt = true }: DocsOptions): Promise<number> {
  if (isBuilt) await buildServices();
  const pages = renderReference(program);
  if (write) writeReference(root, pages);
  for (const path of Object.keys(pages))
    console.log(`${write ? 'wrote ' : ''}${join(referenceFolder, path)}`);
  return 0;
}

/**
 * The generated pages, by their path in docs/reference.
 * @param program with all commands @throws CliError if one of the apps is not built
 */
export function renderReference(program: Command, apps: readonly App[] = listApps()): Record<string, string> {
  const contracts = readBuiltContracts(apps).map(({ contract }) => contract);
  const services = contracts.filter(({ requests, events }) => requests.length + events.length > 0);
  return {
    'cli.md': formatCommands(program),
    'settings.md': formatSettings(apps),
    'events.md': formatEvents(services, readBusDescriptions(apps, apps)),
    ...Object.fromEntries(services.map((one) => [`contracts/${one.service}.md`, formatContract(one)])),
  };
}

/** Lists the generated pages that exist, relative to docs/reference. */
export const listReferencePages = (workspace: string): string[] =>
  globSync('{cli,settings,events}.md', { cwd: join(workspace, referenceFolder) }).concat(
    globSync('contracts/*.md', { cwd: join(workspace, referenceFolder) }),
  );

/** Writes the pages, and deletes those of services that no longer exist. */
export function writeReference(workspace: string, pages: Readonly<Record<string, string>>): void {
  const folder = join(workspace, referenceFolder);
  for (const path of listReferencePages(workspace)) if (!(path in pages)) rmSync(join(folder, path));
  for (const [path, text] of Object.entries(pages)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}
