import { copyFileSync, constants, existsSync, linkSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DeliveryError } from './delivery-error.ts';
import type { LockedPackage } from './lock-file.ts';

/** Why a file cannot be a hard link: another file system, or the rules of this one. */
const copyCodes = ['EXDEV', 'EPERM', 'EACCES', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP'];

/**
 * Puts packages from the node_modules of a workspace into the same places below `target`, as hard links where possible.
 * Leaves out packages for other platforms, and files that no running service reads.
 * @throws DeliveryError if a package is missing, or installed in another version than the lock file says
 */
export function placePackages(root: string, packages: Iterable<LockedPackage>, target: string): void {
  const needed = [...packages].filter(isForThisPlatform);
  const wrong = needed.flatMap((one) => describeDifference(root, one) ?? []);
  if (wrong.length > 0)
    throw new DeliveryError('The installed packages are not those of package-lock.json.', {
      details: wrong,
      remedies: ['install them:  npm ci --include=optional'],
    });
  for (const { path } of needed) placeFolder(join(root, path), join(target, path));
}

function describeDifference(root: string, { path, version }: LockedPackage): string | undefined {
  try {
    const installed = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')) as {
      version?: string;
    };
    return installed.version === version
      ? undefined
      : `${path} is ${installed.version}, package-lock.json has ${version}`;
  } catch {
    return `${path} is missing`;
  }
}

function placeFolder(source: string, target: string): void {
  mkdirSync(target, { recursive: true });
  const entries = readdirSync(source, { withFileTypes: true });
  const names = new Set(entries.map(({ name }) => name));
  for (const entry of entries) {
    const { name } = entry;
    // Hidden files, such as .env, belong to tools. Nested packages are in the list of packages themselves.
    if (name.startsWith('.') || name === 'node_modules') continue;
    if (entry.isDirectory()) placeFolder(join(source, name), join(target, name));
    else if (entry.isFile() && !isForDevelopment(name, names))
      placeFile(join(source, name), join(target, name));
  }
}

/** Whether a file is the declaration or the source map of another one, or a text for people other than the licence. */
export function isForDevelopment(name: string, siblings: ReadonlySet<string>): boolean {
  const declared = /^(.+)\.d\.([cm]?)ts$/.exec(name);
  if (declared) return siblings.has(`${declared[1]}.${declared[2]}js`);
  if (name.endsWith('.map')) return siblings.has(name.slice(0, -'.map'.length));
  return /^(readme|changelog|history)(\.(md|markdown|txt))?$/i.test(name);
}

function placeFile(source: string, target: string): void {
  try {
    linkSync(source, target);
  } catch (error) {
    if (!copyCodes.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    copyFileSync(source, target, constants.COPYFILE_FICLONE);
  }
}

const isForThisPlatform = ({ platform: { os, cpu, libc } = {} }: LockedPackage): boolean =>
  matches(os, () => process.platform) &&
  matches(cpu, () => process.arch) &&
  matches(libc, () => (existsSync('/etc/alpine-release') ? 'musl' : 'glibc'));

/** npm's rule: one of the values, and none of those with an exclamation mark. */
function matches(allowed: readonly string[] | undefined, getOwn: () => string): boolean {
  if (!allowed) return true;
  const own = getOwn();
  const accepted = allowed.filter((one) => !one.startsWith('!'));
  return !allowed.includes(`!${own}`) && (accepted.length === 0 || accepted.includes(own));
}
