import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path/posix';
import { DeliveryError } from './delivery-error.ts';

/** The fields of a package.json and of an entry of package-lock.json that name other packages. */
export interface DependencyFields {
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
}

export interface LockEntry extends DependencyFields {
  /** Only where the folder has another name: an alias, or a package of the workspace. */
  name?: string;
  version?: string;
  /** Of a link: the folder of the workspace that it leads to. */
  resolved?: string;
  link?: true;
  integrity?: string;
  license?: string;
  os?: string[];
  cpu?: string[];
  libc?: string[];
}

/** A third-party package in the place where npm installs it. */
export interface LockedPackage {
  /** Relative to the workspace: `node_modules/zod`, `apps/gateway/node_modules/lru-cache`. */
  path: string;
  name: string;
  version: string;
  /** The hash of its archive; of a package that is no archive, where it comes from. */
  integrity: string;
  license?: string;
  /** The systems that it can be installed on; undefined: all. */
  platform?: Pick<LockEntry, 'os' | 'cpu' | 'libc'>;
  /** The paths of the packages of the same closure that it can import. */
  dependencies: readonly string[];
}

/** Everything that one package of the workspace needs in order to run. */
export interface ProductionClosure {
  /** The folders of the workspace's packages, with that of the package itself, sorted. */
  folders: readonly string[];
  /** By path, sorted. */
  packages: ReadonlyMap<string, LockedPackage>;
  /** The paths of the third-party packages that each folder of `folders` declares. */
  declared: ReadonlyMap<string, readonly string[]>;
}

/** package-lock.json of npm 7 or newer. It resolves packages as Node does, without a look at node_modules. */
export class LockFile {
  readonly #entries: Record<string, LockEntry>;

  constructor(entries: Record<string, LockEntry>) {
    this.#entries = entries;
  }

  /** @throws DeliveryError if the workspace has no valid package-lock.json */
  static read(root: string): LockFile {
    const file = join(root, 'package-lock.json');
    try {
      return LockFile.parse(readFileSync(file, 'utf8'));
    } catch (error) {
      throw new DeliveryError(`${file} cannot be read: ${(error as Error).message}.`, {
        remedies: ['npm install'],
      });
    }
  }

  /** @throws Error if it is no lock file of npm 7 or newer */
  static parse(text: string): LockFile {
    const { packages, lockfileVersion } = JSON.parse(text) as {
      lockfileVersion?: number;
      packages?: Record<string, LockEntry>;
    };
    if (!packages) throw new Error(`format ${lockfileVersion} is that of an npm older than 7`);
    return new LockFile(packages);
  }

  getEntry = (path: string): LockEntry | undefined => this.#entries[path];

  /** The path of the package that code in the folder `from` imports as `name`; undefined if there is none. */
  resolve(name: string, from: string): string | undefined {
    for (let folder = from; ; folder = dirname(folder)) {
      const path = join(folder, 'node_modules', name);
      if (basename(folder) !== 'node_modules' && this.#entries[path]) return path;
      if (folder === '.') return undefined;
    }
  }

  /**
   * Finds what the package in `folder` needs in production, transitively. Optional dependencies belong to it, on whatever
   * system; an optional peer only if another package of the closure depends on it. So another service that adds such a
   * peer changes nothing.
   * @throws DeliveryError if the lock file misses a package, or is older than a package.json
   */
  resolveProduction(folder: string): ProductionClosure {
    const folders = new Set<string>();
    const found = new Map<string, string[]>();
    const waiting = [folder];
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      if (found.has(path)) continue;
      const targets = this.#listDependencies(path);
      found.set(path, targets);
      if (!path.includes('node_modules/')) folders.add(path);
      waiting.push(...targets);
    }
    const packages = [...found.keys()].filter((path) => !folders.has(path)).sort();
    return {
      folders: [...folders].sort(),
      packages: new Map(packages.map((path) => [path, this.#toPackage(path, found)])),
      declared: new Map(
        [...folders].map((path) => [
          path,
          found
            .get(path)!
            .filter((target) => !folders.has(target))
            .sort(),
        ]),
      ),
    };
  }

  /** The folders of the workspace's packages. */
  listProjects(): string[] {
    return Object.keys(this.#entries).filter((path) => path !== '' && !path.includes('node_modules/'));
  }

  /**
   * Lists the third-party packages of one package of the workspace, also those for development, as `path integrity`. Those
   * of other packages of the workspace do not belong to it.
   * @param folder '' is the workspace itself
   */
  listPackages(folder: string): string[] {
    const entry = this.#entries[folder]!;
    const found = new Set<string>();
    const names = Object.keys({
      ...entry.devDependencies,
      ...entry.dependencies,
      ...entry.optionalDependencies,
    });
    const waiting = names.flatMap((name) => this.resolve(name, folder) ?? []);
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      if (found.has(path) || this.#entries[path]!.link) continue;
      found.add(path);
      waiting.push(...this.#listDependencies(path));
    }
    return [...found].sort().map((path) => `${path} ${this.#entries[path]!.integrity ?? ''}`);
  }

  /** The paths of what a package depends on, except optional peers. */
  #listDependencies(path: string): string[] {
    const entry = this.#entries[path];
    if (!entry)
      throw new DeliveryError(`package-lock.json has no ${path}.`, {
        remedies: ['update package-lock.json:  npm install'],
      });
    const { dependencies = {}, optionalDependencies = {}, peerDependencies = {} } = entry;
    const peers = Object.keys(peerDependencies).filter(
      (name) => !entry.peerDependenciesMeta?.[name]?.optional,
    );
    const required = [...Object.keys(dependencies), ...peers].filter(
      (name) => !(name in optionalDependencies),
    );
    return [
      ...required.map((name) => {
        const target = this.resolve(name, path);
        if (target) return this.#followLink(target);
        throw new DeliveryError(`package-lock.json has no ${name}, which ${path} needs.`, {
          remedies: ['update package-lock.json:  npm install'],
        });
      }),
      ...Object.keys(optionalDependencies).flatMap((name) => {
        const target = this.resolve(name, path);
        return target ? [this.#followLink(target)] : [];
      }),
    ];
  }

  #followLink(path: string): string {
    const { link, resolved } = this.#entries[path]!;
    return link ? resolved! : path;
  }

  #toPackage(path: string, found: ReadonlyMap<string, string[]>): LockedPackage {
    const entry = this.#entries[path]!;
    const { version, integrity, resolved, license, os, cpu, libc } = entry;
    const peers = Object.keys(entry.peerDependencies ?? {}).flatMap((name) => this.resolve(name, path) ?? []);
    const dependencies = new Set(
      [...found.get(path)!, ...peers].filter((target) => target.includes('node_modules/')),
    );
    return {
      path,
      name: entry.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version: version ?? '',
      integrity: integrity ?? resolved ?? '',
      ...(license && { license }),
      ...((os || cpu || libc) && {
        platform: { ...(os && { os }), ...(cpu && { cpu }), ...(libc && { libc }) },
      }),
      dependencies: [...dependencies].filter((target) => found.has(target)).sort(),
    };
  }

  /** @throws DeliveryError if `folder/package.json` declares other dependencies than when the lock file was written */
  assertCurrent(folder: string, declared: DependencyFields): void {
    const locked = this.#entries[folder];
    const describe = ({ dependencies, optionalDependencies, peerDependencies }: DependencyFields = {}) =>
      [dependencies, optionalDependencies, peerDependencies].flatMap((all) =>
        Object.entries(all ?? {}).map(([name, range]) => `${name}@${range}`),
      );
    const [now, then] = [describe(declared), describe(locked)];
    const differ = [
      ...now.filter((one) => !then.includes(one)),
      ...then.filter((one) => !now.includes(one)).map((one) => `${one} (only in package-lock.json)`),
    ];
    if (differ.length > 0)
      throw new DeliveryError(`package-lock.json is older than ${folder}/package.json.`, {
        details: differ.sort(),
        remedies: ['update package-lock.json:  npm install'],
      });
  }
}
