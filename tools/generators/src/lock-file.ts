/** What package-lock.json records about one package. */
export interface LockedPackage {
  name?: string;
  version?: string;
  /** Path of a package of the workspace. */
  resolved?: string;
  link?: boolean;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  [field: string]: unknown;
}

/** package-lock.json, or node_modules/.package-lock.json, in which npm records what is installed. */
export interface LockFile {
  packages: Record<string, LockedPackage>;
  [field: string]: unknown;
}

/** The fields of a package.json that npm copies into package-lock.json. */
interface Manifest {
  name: string;
  version: string;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

/** Adds a package of the workspace, or updates it: what `npm install` would record. @param folder relative to the workspace */
export function addProject(lock: LockFile, folder: string, manifest: Manifest): LockFile {
  const { name, version, dependencies, devDependencies } = manifest;
  return {
    ...lock,
    packages: insertSorted(lock.packages, {
      [folder]: {
        name,
        version,
        ...(dependencies && { dependencies }),
        ...(devDependencies && { devDependencies }),
      },
      [`node_modules/${name}`]: { resolved: folder, link: true },
    }),
  };
}

/** Removes packages of the workspace, and the packages that only they need. @param folders relative to the workspace */
export function removeProjects(lock: LockFile, folders: readonly string[]): LockFile {
  const isRemoved = (path: string, { resolved, link }: LockedPackage) =>
    folders.some(
      (folder) => path === folder || path.startsWith(`${folder}/`) || (link && resolved === folder),
    );
  const packages = filterPackages(lock.packages, (path, one) => !isRemoved(path, one));
  const before = findReachable(lock.packages);
  const after = findReachable(packages);
  return { ...lock, packages: filterPackages(packages, (path) => after.has(path) || !before.has(path)) };
}

const filterPackages = (
  packages: LockFile['packages'],
  isKept: (path: string, one: LockedPackage) => boolean,
): LockFile['packages'] =>
  Object.fromEntries(Object.entries(packages).filter(([path, one]) => isKept(path, one)));

/** The order of npm. Existing entries keep their places. */
function insertSorted(packages: LockFile['packages'], added: LockFile['packages']): LockFile['packages'] {
  const entries = Object.entries(packages);
  for (const [path, one] of Object.entries(added)) {
    const existing = entries.findIndex(([other]) => other === path);
    const later = entries.findIndex(([other]) => other.localeCompare(path, 'en') > 0);
    if (existing >= 0) entries[existing] = [path, one];
    else entries.splice(later < 0 ? entries.length : later, 0, [path, one]);
  }
  return Object.fromEntries(entries);
}

/** The packages of the workspace, their links, and the packages that they and the root need. */
function findReachable(packages: LockFile['packages']): Set<string> {
  const links = Object.entries(packages).filter(([, { link }]) => link);
  return followDependencies(packages, ['', ...links.flatMap(([path, { resolved }]) => [path, resolved!])]);
}

/**
 * Follows the dependencies, as Node resolves them.
 * @param from paths of packages; an unknown one has no dependencies
 * @returns the paths of these packages and of all packages that they need
 */
export function followDependencies(packages: LockFile['packages'], from: readonly string[]): Set<string> {
  const reached = new Set(from);
  const queue = [...from];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    for (const name of listDependencies(packages[path] ?? {})) {
      const found = resolveDependency(packages, path, name);
      if (found === undefined || reached.has(found)) continue;
      reached.add(found);
      queue.push(found);
    }
  }
  return reached;
}

const listDependencies = (one: LockedPackage): string[] =>
  [one.dependencies, one.devDependencies, one.optionalDependencies, one.peerDependencies].flatMap((all) =>
    Object.keys(all ?? {}),
  );

/** The path of a dependency: in the nearest node_modules outwards. */
function resolveDependency(packages: LockFile['packages'], from: string, name: string): string | undefined {
  for (let parent = from; ; parent = parent.slice(0, Math.max(0, parent.lastIndexOf('/')))) {
    const path = parent === '' ? `node_modules/${name}` : `${parent}/node_modules/${name}`;
    if (packages[path]) return path;
    if (parent === '') return undefined;
  }
}
