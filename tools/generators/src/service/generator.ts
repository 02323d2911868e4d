import { join } from 'node:path';
import { formatFiles, generateFiles, type Tree } from '@nx/devkit';
import { assertRoutesFree } from '../contracts.ts';
import { finish } from '../finish.ts';
import { GeneratorError } from '../generator-error.ts';
import * as names from '../names.ts';
import { contractFolder, contractPackage } from '../service-files.ts';
import {
  findProjectFolder,
  getProjectRange,
  readSharedVersion,
  writeManifest,
} from '../workspace-packages.ts';

export interface ServiceOptions {
  name: string;
  /** In the singular. */
  entity?: string;
  owner?: string;
  timestamp?: number;
}

/** Generates a service that stores and lists one kind of entity. */
export default async function generateService(
  tree: Tree,
  options: ServiceOptions,
): Promise<() => Promise<void>> {
  const { name } = options;
  names.assertServiceName(name);
  assertNew(tree, name);
  const entity = options.entity ?? names.toSingular(name);
  names.assertEntityName(entity);
  const plural = options.entity || entity !== name ? names.toPlural(entity) : name;
  const owner = options.owner ?? name;
  if (!/^[\w@./ -]{1,60}$/.test(owner)) throw new GeneratorError(`"${owner}" cannot be the name of a team.`);
  await assertRoutesFree(tree.root, [`POST /v1/${plural}`, `GET /v1/${plural}`]);

  const folders = { app: `apps/${name}`, contract: contractFolder(name) };
  const timestamp = options.timestamp ?? Date.now();
  const substitutions = buildSubstitutions(name, entity, plural, timestamp);
  generateFiles(tree, join(import.meta.dirname, 'files/app'), folders.app, substitutions);
  generateFiles(tree, join(import.meta.dirname, 'files/contract'), folders.contract, substitutions);
  writeContractManifest(tree, folders.contract, name);
  writeAppManifest(tree, folders.app, { name, plural, owner });
  await formatFiles(tree);
  return () =>
    finish(tree.root, Object.values(folders), [
      `${name} stores ${names.toWords(plural)}: POST /v1/${plural}, GET /v1/${plural}.`,
      `Change it:  ${folders.contract}/src/index.ts, ${folders.app}/src/${entity}.ts`,
      `Run it:     npx nx serve ${name}`,
      `Test it:    npx nx run-many -t lint,typecheck,test,integration -p ${name},contracts-${name}`,
    ]);
}

/** What the templates insert. */
const buildSubstitutions = (name: string, entity: string, entities: string, timestamp: number) => ({
  name,
  Name: names.toPascalCase(name),
  entity,
  Entity: names.toPascalCase(entity),
  entityId: `${names.toCamelCase(entity)}Id`,
  entityColumn: `${names.toSnakeCase(entity)}_id`,
  tableName: names.toSnakeCase(entity),
  table: names.toSqlName(names.toSnakeCase(entity)),
  noun: names.toWords(entity),
  aNoun: names.withArticle(names.toWords(entity)),
  entities,
  Entities: names.toPascalCase(entities),
  nouns: names.toWords(entities),
  timestamp,
});

/** @throws GeneratorError if the workspace has a project of this name */
function assertNew(tree: Tree, name: string): void {
  const found = [
    ...[`apps/${name}`, contractFolder(name)].filter((path) => tree.exists(path)),
    ...[`@jogakbo/${name}`, contractPackage(name)].flatMap((one) => findProjectFolder(tree, one) ?? []),
  ];
  if (found.length > 0)
    throw new GeneratorError(
      `"${name}" exists already: ${[...new Set(found)].join(', ')}.`,
      'Choose another name.',
    );
}

function writeContractManifest(tree: Tree, folder: string, name: string): void {
  writeManifest(tree, folder, {
    name: contractPackage(name),
    version: '0.1.0',
    private: true,
    type: 'module',
    description: `Public contract of the ${name} service.`,
    exports: { '.': './src/index.ts' },
    dependencies: {
      '@jogakbo/contract': getProjectRange(tree, '@jogakbo/contract'),
      zod: readSharedVersion(tree, 'zod'),
    },
    nx: {
      name: `contracts-${name}`,
      tags: ['type:contracts', 'scope:store'],
      targets: { typecheck: {}, lint: {} },
    },
  });
}

const libraries = ['consistency', 'contract', 'messaging', 'service'];
const packages = ['@nestjs/common', '@nestjs/core', 'pg', 'reflect-metadata', 'rxjs', 'typeorm', 'zod'];

function writeAppManifest(
  tree: Tree,
  folder: string,
  { name, plural, owner }: { name: string; plural: string; owner: string },
): void {
  const dependencies = [
    ...libraries.map((one) => [`@jogakbo/${one}`, getProjectRange(tree, `@jogakbo/${one}`)]),
    [contractPackage(name), '*'],
    ...packages.map((one) => [one, readSharedVersion(tree, one)]),
  ].sort(([one], [other]) => one!.localeCompare(other!, 'en'));
  writeManifest(tree, folder, {
    name: `@jogakbo/${name}`,
    version: '0.1.0',
    private: true,
    type: 'module',
    description: names.toWords(plural),
    main: 'dist/main.js',
    jogakbo: { owner, database: true },
    dependencies: Object.fromEntries(dependencies) as Record<string, string>,
    nx: {
      name,
      tags: ['type:app', 'scope:store'],
      targets: { build: {}, typecheck: {}, lint: {}, test: {}, integration: {}, serve: {} },
    },
    devDependencies: { '@jogakbo/testing': getProjectRange(tree, '@jogakbo/testing') },
  });
}
