import { spawnSync } from 'node:child_process';
import { CliError } from './terminal/cli-error.ts';
import { root } from './workspace.ts';

/**
 * Finds the commit from which the current one branched off.
 * @param base a commit or a branch @throws CliError if git does not have it, or not its history
 */
export function findMergeBase(base: string): string {
  const { status, stdout } = spawnSync('git', ['merge-base', base, 'HEAD'], { cwd: root, encoding: 'utf8' });
  if (status === 0) return stdout.trim();
  throw new CliError(`The change cannot be compared with ${base}: git does not have that commit.`, {
    remedies: [
      'get it:  git fetch origin',
      'on a CI server, check out the whole history (fetch-depth: 0)',
      'or name another one:  --base <commit>',
    ],
  });
}
