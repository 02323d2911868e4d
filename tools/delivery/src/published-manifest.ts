import { isBuiltin } from 'node:module';

/** The part of a package.json that packages need. */
export interface Manifest {
  name: string;
  version: string;
  description?: string;
  /** Each entry point, and its source. */
  exports?: Record<string, string>;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  /** Names the packages of `devDependencies` that only some entry points need. */
  peerDependenciesMeta?: Record<string, { optional: true }>;
  nx?: { name?: string };
}

interface PublishedOptions {
  manifest: Manifest;
  /** Returns the path of a compiled source in the package. */
  toModulePath: (source: string, extension: string) => string;
  /** Packages that the modules import. */
  imports: ReadonlySet<string>;
  /** Packages that the declarations import. */
  typeImports: ReadonlySet<string>;
  /** Reads the manifest of an installed package. @throws Error if it is not installed */
  readManifest: (name: string) => Promise<Manifest>;
}

/**
 * An application must have exactly one copy of these packages, its own: Nest injects by class, TypeORM and the metadata of
 * decorators are found by identity, and schemas cross the border of a library.
 */
const isProvidedByApplication = (name: string) =>
  name.startsWith('@nestjs/') || ['reflect-metadata', 'rxjs', 'typeorm', 'zod'].includes(name);

/** The oldest Node that the tests run on. */
const engines = { node: '>=24' };

/**
 * Creates the package.json to publish, from the one in the workspace.
 * - `exports` name the compiled modules and their declarations.
 * - Libraries of the workspace are required in exactly the version that they have now: they are released together.
 * - Nest and what else an application has once are peer dependencies; what only some entry points need is an optional one.
 * - Declarations that mention a package without types of its own bring its `@types` package.
 * @throws Error if it imports a package that it does not declare
 */
export async function createPublishedManifest(options: PublishedOptions): Promise<Record<string, unknown>> {
  const { manifest, toModulePath, imports, typeImports } = options;
  assertDeclared(manifest, new Set([...imports, ...typeImports]));
  const dependencies: Record<string, string> = {};
  const peerDependencies: Record<string, string> = {};
  const scope = manifest.name.split('/')[0]!;
  for (const [name, version] of Object.entries(manifest.dependencies ?? {})) {
    if (name.startsWith(`${scope}/`)) dependencies[name] = (await options.readManifest(name)).version;
    else if (isProvidedByApplication(name)) peerDependencies[name] = `^${version}`;
    else dependencies[name] = `^${version}`;
  }
  for (const name of Object.keys(manifest.peerDependenciesMeta ?? {}))
    peerDependencies[name] = `^${manifest.devDependencies![name]}`;
  for (const [name, version] of await findTypePackages(options)) dependencies[name] = version;
  return {
    ...{ name: manifest.name, version: manifest.version, description: manifest.description },
    ...{ license: 'MIT', type: 'module', engines },
    exports: Object.fromEntries(
      Object.entries(manifest.exports ?? {}).map(([entry, source]) => [
        entry,
        { types: toModulePath(source, '.d.ts'), default: toModulePath(source, '.js') },
      ]),
    ),
    // npm adds package.json, README.md and LICENSE.
    files: ['lib', 'CHANGELOG.md'],
    ...{ dependencies, peerDependencies },
    ...(manifest.peerDependenciesMeta && { peerDependenciesMeta: manifest.peerDependenciesMeta }),
    publishConfig: { access: 'public' },
  };
}

function assertDeclared(manifest: Manifest, imports: Iterable<string>): void {
  const declared = { ...manifest.dependencies, ...manifest.peerDependenciesMeta };
  const missing = [...imports].filter(
    (name) => name !== manifest.name && !isBuiltin(name) && !Object.hasOwn(declared, name),
  );
  if (missing.length > 0)
    throw new Error(`add to "dependencies" of package.json, because it imports them: ${missing.join(', ')}`);
}

/** The `@types` packages that the declarations need, with their versions. */
async function findTypePackages(options: PublishedOptions): Promise<[name: string, range: string][]> {
  const found: [string, string][] = [];
  for (const name of options.typeImports) {
    if (isBuiltin(name)) continue;
    const types = `@types/${name.replace(/^@(.+)\//, '$1__')}`;
    const installed = await options.readManifest(types).catch(() => undefined);
    if (installed) found.push([types, `^${installed.version}`]);
  }
  // The application chooses its version, which fits its Node.
  if ([...options.imports, ...options.typeImports].some(isBuiltin)) found.push(['@types/node', '*']);
  return found;
}
