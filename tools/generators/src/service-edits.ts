import type { Tree } from '@nx/devkit';
import { GeneratorError } from './generator-error.ts';
import { readJsonFile, readText, type ServiceFiles } from './service-files.ts';
import { SourceEdits } from './source-edits.ts';

/** Edits the module of a service. */
export function editModule(
  tree: Tree,
  { moduleFile }: ServiceFiles,
  edit: (module: SourceEdits) => void,
): void {
  editSource(tree, moduleFile, edit);
}

/** Edits the contract of a service. */
export function editContract(
  tree: Tree,
  { contractFile }: ServiceFiles,
  edit: (contract: SourceEdits) => void,
): void {
  editSource(tree, contractFile, edit);
}

function editSource(tree: Tree, path: string, edit: (source: SourceEdits) => void): void {
  const source = new SourceEdits(path, readText(tree, path));
  edit(source);
  tree.write(path, source.text);
}

/** @throws GeneratorError if one of the files exists */
export function assertNewFiles(tree: Tree, paths: readonly string[]): void {
  const existing = paths.filter((path) => tree.exists(path));
  if (existing.length > 0)
    throw new GeneratorError(`${existing.join(' and ')} would be overwritten.`, 'Choose another name.');
}

/** @throws GeneratorError unless the service has a database */
export function assertDatabase(tree: Tree, { folder, name }: ServiceFiles): void {
  const { jogakbo } = readJsonFile<{ jogakbo?: { database?: boolean } }>(tree, `${folder}/package.json`);
  if (!jogakbo?.database)
    throw new GeneratorError(
      `${name} has no database.`,
      `Set jogakbo.database to true in ${folder}/package.json, and list consistencyMigrations in its module.`,
    );
}
