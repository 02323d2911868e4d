import { join } from 'node:path';
import { formatFiles, generateFiles, type Tree } from '@nx/devkit';
import * as names from '../names.ts';
import { assertDatabase, editModule } from '../service-edits.ts';
import { findService } from '../service-files.ts';

export interface MigrationOptions {
  service: string;
  name: string;
  /** SQL. */
  up?: string;
  /** SQL. */
  down?: string;
}

/** Generates a migration that runs after all others of the service. Without SQL, it fails until it is written. */
export default async function generateMigration(
  tree: Tree,
  { service, name, up, down }: MigrationOptions,
): Promise<() => void> {
  const files = findService(tree, service);
  names.assertKebabName(name, 'migration');
  assertDatabase(tree, files);
  const folder = `${files.folder}/migrations`;
  const timestamp = Math.max(Date.now(), ...listTimestamps(tree, folder).map((last) => last + 1));
  const migrationClass = `${names.toPascalCase(name)}${timestamp}`;
  editModule(tree, files, (edits) => {
    edits.addImport(migrationClass, `../migrations/${timestamp}-${name}.ts`);
    edits.addToService('migrations', migrationClass);
  });
  generateFiles(tree, join(import.meta.dirname, 'files'), files.folder, {
    name,
    timestamp,
    migrationClass,
    up: up && escapeTemplate(up),
    down: down && escapeTemplate(down),
  });
  await formatFiles(tree);
  const file = `${folder}/${timestamp}-${name}.ts`;
  return () =>
    console.log(
      up
        ? `\n${service} runs ${file} at its next start.`
        : `\nWrite the SQL of ${file}: until then, it fails.`,
    );
}

const listTimestamps = (tree: Tree, folder: string): number[] =>
  tree.children(folder).flatMap((file) => /^\d{13}(?=-)/.exec(file)?.map(Number) ?? []);

/** SQL as the content of a template literal. */
const escapeTemplate = (sql: string): string => sql.replace(/[\\`]|\$(?=\{)/g, '\\$&');
