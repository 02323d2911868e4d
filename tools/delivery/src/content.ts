import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DeliveryError } from './delivery-error.ts';
import { type DependencyFields, LockFile, type ProductionClosure } from './lock-file.ts';

/** One of the things that a service is built of. */
export interface ContentPart {
  /** A folder of the workspace, a package as `name@version`, `build`, or `image`. */
  name: string;
  /** SHA-256 in hexadecimal. */
  hash: string;
}

/** What a service is built of. Two equal hashes mean the same service. */
export interface ServiceContent {
  /** The name of its folder in `apps`. */
  service: string;
  /** The version of its package.json and the first 10 digits of the hash: `0.1.0-4f2a90c1d3`. Its process gets it as SERVICE_VERSION. */
  version: string;
  /** SHA-256 of all parts, in hexadecimal. */
  hash: string;
  /** Sorted by name. */
  parts: readonly ContentPart[];
}

/** What a package.json of the workspace says, as far as delivery reads it. */
export interface Manifest extends DependencyFields {
  name?: string;
  version?: string;
  type?: string;
  main?: string;
  /** The declaration of an app. */
  jogakbo?: object;
}

/** The fields of a package.json that change how a package is built or run. */
const relevantFields = ['name', 'version', 'type', 'main', 'exports', 'imports', 'sideEffects', 'jogakbo'];

/** What decides how sources become a bundle and its descriptions, besides the packages below. */
const buildFiles = [
  'tsconfig.base.json',
  'tools/delivery/src/build.ts',
  'tools/delivery/src/bundle.ts',
  'tools/delivery/src/source-maps.mjs',
];
const buildPackages = ['esbuild', '@swc/core'];
/** What an image consists of, besides the service. */
const imageFiles = ['deploy/Dockerfile'];

/** Lists the deployable apps of a workspace: the folders in `apps` whose package.json has the main `dist/main.js`. */
export function listServices(root: string): string[] {
  const apps = join(root, 'apps');
  if (!existsSync(apps)) return [];
  return readdirSync(apps)
    .sort()
    .filter(
      (name) =>
        existsSync(join(apps, name, 'package.json')) &&
        readManifest(root, `apps/${name}`).main === 'dist/main.js',
    );
}

/**
 * Reads what every service of a workspace is built of: its sources, migrations and manifest, the libraries and contracts
 * that it depends on, its third-party packages as package-lock.json names them, the build and the image. READMEs, tests
 * and development dependencies do not count.
 * @throws DeliveryError if package-lock.json does not fit the workspace
 */
export async function readContents(root: string): Promise<Map<string, ServiceContent>> {
  const workspace = new WorkspaceContents(root);
  return new Map(listServices(root).map((service) => [service, workspace.readService(service)]));
}

/** Reads the contents of several services, and each folder once. */
export class WorkspaceContents {
  readonly root: string;
  readonly #lockFile: LockFile;
  readonly #folders = new Map<string, ContentPart>();

  /** @throws DeliveryError if the workspace has no valid package-lock.json */
  constructor(root: string) {
    this.root = root;
    this.#lockFile = LockFile.read(root);
  }

  /** @throws DeliveryError if package-lock.json does not fit the workspace */
  resolveProduction(service: string): ProductionClosure {
    const closure = this.#lockFile.resolveProduction(`apps/${service}`);
    for (const folder of closure.folders)
      this.#lockFile.assertCurrent(folder, readManifest(this.root, folder));
    return closure;
  }

  readService(service: string, closure = this.resolveProduction(service)): ServiceContent {
    const parts = [
      ...closure.folders.map((folder) => this.#readFolder(folder)),
      ...hashPackages(closure),
      this.#readFiles('build', buildFiles, buildPackages),
      this.#readFiles('image', imageFiles),
    ].sort((one, other) => (one.name < other.name ? -1 : 1));
    const hash = hashLines(parts.map((part) => `${part.name} ${part.hash}`));
    const { version = '0.0.0' } = readManifest(this.root, `apps/${service}`);
    return { service, version: `${version}-${hash.slice(0, 10)}`, hash, parts };
  }

  #readFolder(folder: string): ContentPart {
    const known = this.#folders.get(folder);
    if (known) return known;
    const manifest = readManifest(this.root, folder) as Record<string, unknown>;
    const lines = [
      `package.json ${hashData(JSON.stringify(relevantFields.map((field) => manifest[field] ?? null)))}`,
      ...['src', 'migrations', 'tsconfig.json'].flatMap((name) => hashFiles(join(this.root, folder), name)),
    ];
    const part = { name: folder, hash: hashLines(lines) };
    this.#folders.set(folder, part);
    return part;
  }

  #readFiles(name: string, files: readonly string[], packages: readonly string[] = []): ContentPart {
    const locked = packages.map((one) => `${one} ${this.#lockFile.getEntry(`node_modules/${one}`)?.version}`);
    return { name, hash: hashLines([...files.flatMap((file) => hashFiles(this.root, file)), ...locked]) };
  }
}

/** @throws DeliveryError if it is missing or no JSON */
export function readManifest(root: string, folder: string): Manifest {
  const file = join(root, folder, 'package.json');
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Manifest;
  } catch (error) {
    throw new DeliveryError(`${file} cannot be read: ${(error as Error).message}.`);
  }
}

const hashData = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex');
const hashLines = (lines: readonly string[]): string => hashData(lines.join('\n'));

/** Tests, texts, and what no image contains: see .dockerignore. */
const isIgnored = (name: string): boolean =>
  /^\.|^(dist|node_modules)$|\.spec\.\w+$|\.(md|pem|key)$/.test(name);

/** One line per file of a folder, or of one file, with its path; none if it does not exist. */
function hashFiles(root: string, path: string): string[] {
  const absolute = join(root, path);
  try {
    return readdirSync(absolute, { withFileTypes: true })
      .filter(({ name }) => !isIgnored(name))
      .sort((one, other) => (one.name < other.name ? -1 : 1))
      .flatMap((entry) => {
        const file = `${path}/${entry.name}`;
        return entry.isDirectory() ? hashFiles(root, file) : hashFile(root, file);
      });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    if (code !== 'ENOTDIR') throw error;
    return [hashFile(root, path)];
  }
}

const hashFile = (root: string, file: string): string =>
  `${file} ${hashData(readFileSync(join(root, file)))}`;

/** One part per name and version, with the places where npm installs it: they decide which version an import finds. */
function hashPackages({ packages }: ProductionClosure): ContentPart[] {
  const lines = new Map<string, string[]>();
  for (const { path, name, version, integrity } of packages.values()) {
    const part = `${name}@${version}`;
    lines.set(part, [...(lines.get(part) ?? []), `${path} ${integrity}`]);
  }
  return [...lines].map(([name, places]) => ({ name, hash: hashLines(places) }));
}
