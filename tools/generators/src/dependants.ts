import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { loadContracts, type KnownContract } from './contracts.ts';
import { contractFolder, contractPackage, listImportedNames, parseSource } from './service-files.ts';

/** A project that needs a service. */
export interface Dependant {
  /** Its folder, relative to the workspace. */
  folder: string;
  /** What it uses, in words: `calls notes.add-note`. */
  uses: string[];
}

interface Manifest {
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

const isGenerated = (path: string): boolean => /(^|\/)(node_modules|dist|\.jogakbo)$/.test(path);

/**
 * Finds the projects of the workspace that need a service: by the dependencies in their package.json, by imports of its
 * contract, and by names of its contracts in their source.
 */
export async function findDependants(root: string, service: string): Promise<Dependant[]> {
  // A contract file that cannot be loaded can still be removed.
  const contracts = await loadContracts(root, service).catch(() => []);
  const own = [`apps/${service}`, contractFolder(service)];
  const folders = globSync('{apps,libs,tools}/**/package.json', { cwd: root, exclude: isGenerated }).map(
    dirname,
  );
  return folders
    .filter((folder) => !own.includes(folder))
    .sort()
    .map((folder) => ({ folder, uses: listUses(root, folder, service, contracts) }))
    .filter(({ uses }) => uses.length > 0);
}

function listUses(
  root: string,
  folder: string,
  service: string,
  contracts: readonly KnownContract[],
): string[] {
  const files = globSync(`${folder}/**/*.{ts,tsx,mjs}`, { cwd: root, exclude: isGenerated });
  const uses = new Set(
    files.flatMap((file) => listUsesOfFile(file, readFileSync(join(root, file), 'utf8'), service, contracts)),
  );
  const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as Manifest;
  const needed = { ...manifest.dependencies, ...manifest.devDependencies };
  const packages = [contractPackage(service), `@jogakbo/${service}`].filter((name) => name in needed);
  return uses.size > 0 ? [...uses].sort() : packages.map((name) => `depends on ${name}`);
}

function listUsesOfFile(
  file: string,
  text: string,
  service: string,
  contracts: readonly KnownContract[],
): string[] {
  // Tools name contracts in their examples only.
  const named = (file.startsWith('tools/') ? [] : contracts)
    .filter(({ contract: { name } }) => [`'${name}'`, `"${name}"`].some((literal) => text.includes(literal)))
    .map(({ contract }) => describeUse(contract.kind, contract.name));
  if (!text.includes(`@jogakbo/contracts-${service}'`) && !text.includes(`@jogakbo/contracts-${service}"`))
    return named;
  const imported = parseSource(file, text)
    .statements.filter(ts.isImportDeclaration)
    .filter(({ moduleSpecifier }) => (moduleSpecifier as ts.StringLiteral).text === contractPackage(service))
    .flatMap(listImportedNames)
    .map((name) => {
      const contract = contracts.find(({ exportName }) => exportName === name)?.contract;
      return contract
        ? describeUse(contract.kind, contract.name)
        : `imports ${name} of ${contractPackage(service)}`;
    });
  return [...named, ...imported];
}

const describeUse = (kind: KnownContract['contract']['kind'], name: string): string =>
  `${kind === 'event' ? 'receives' : 'calls'} ${name}`;
