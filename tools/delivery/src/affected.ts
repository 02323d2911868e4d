import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { DeliveryError } from './delivery-error.ts';
import { LockFile } from './lock-file.ts';

/** Any change of it affects all projects: see Nx. */
const everything = 'nx.json';
const comparedFiles = ['package-lock.json', 'package.json'];

/**
 * Lists the files that Nx has to look at in order to name exactly the projects that a change affects: the changed files
 * and, instead of package-lock.json, the package.json of each project whose packages differ. Nx compares names of packages
 * only, and takes a removed package for a change of everything.
 * @param base a Git revision; changes since its common ancestor with HEAD count, also those without a commit
 * @throws DeliveryError if it does not exist
 */
export function listAffectedFiles(root: string, base: string): string[] {
  const [ancestor] = git(root, 'merge-base', base, 'HEAD') as [string];
  const changed = [
    ...git(root, 'diff', '--name-only', '--no-renames', ancestor),
    ...git(root, 'ls-files', '--others', '--exclude-standard'),
  ];
  const files = changed.filter((file) => !comparedFiles.includes(file));
  if (!comparedFiles.some((file) => changed.includes(file))) return files;
  const before = LockFile.parse(git(root, 'show', `${ancestor}:package-lock.json`).join('\n'));
  const after = LockFile.read(root);
  return [...files, ...listChangedProjects(before, after)];
}

/** The package.json of every project whose third-party packages differ, with those for development. */
function listChangedProjects(before: LockFile, after: LockFile): string[] {
  const list = (lock: LockFile, folder: string) =>
    lock.getEntry(folder) ? lock.listPackages(folder).join('\n') : undefined;
  // The packages of the workspace itself are the tools that check and build every project.
  if (list(before, '') !== list(after, '')) return [everything];
  return after
    .listProjects()
    .filter((folder) => list(before, folder) !== list(after, folder))
    .map((folder) => join(folder, 'package.json'));
}

function git(root: string, ...args: string[]): string[] {
  try {
    const output = execFileSync('git', args, {
      ...{ cwd: root, encoding: 'utf8', maxBuffer: 1e9, stdio: 'pipe' },
    });
    return output.split('\n').filter(Boolean);
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    throw new DeliveryError(`git ${args.join(' ')} failed.`, {
      details: (stderr || message).trim().split('\n'),
      remedies: [
        'name a revision that Git has:  --base <revision>',
        'in a clone without history:  git fetch --unshallow',
      ],
    });
  }
}
