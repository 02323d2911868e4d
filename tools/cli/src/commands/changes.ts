import { spawnSync } from 'node:child_process';
import { mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readContents, type ServiceContent } from '@jogakbo/delivery/src/content.ts';
import { planDeployment, renderPlan } from '@jogakbo/delivery/src/plan.ts';
import { findMergeBase } from '../merge-base.ts';
import { CliError } from '../terminal/cli-error.ts';
import { toPrintable, toPrintableJson } from '../terminal/printable.ts';
import { root } from '../workspace.ts';

export interface ChangesOptions {
  base: string;
  json?: boolean;
}

/** Shows which services a change deploys: those whose content differs from the commit from which it branched off. */
export async function changes({ base, json }: ChangesOptions): Promise<number> {
  const commit = findMergeBase(base);
  const before = await readContentsOf(commit);
  const plan = planDeployment(await readContents(root), [...before.values()]);
  if (json) console.log(toPrintableJson(plan));
  else
    console.log(
      renderPlan(plan, `${base} (${commit.slice(0, 10)})`)
        .split('\n')
        .map(toPrintable)
        .join('\n'),
    );
  return 0;
}

/** Reads the contents of another commit, from a worktree that exists only meanwhile. */
async function readContentsOf(commit: string): Promise<Map<string, ServiceContent>> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'jogakbo-base-')));
  git('worktree', 'add', '--quiet', '--detach', '--force', folder, commit);
  try {
    return await readContents(folder);
  } finally {
    git('worktree', 'remove', '--force', folder);
  }
}

function git(...args: string[]): void {
  const { status, stderr, error } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  if (status !== 0)
    throw new CliError(`git ${args[0]} ${args[1]} failed: ${error?.message ?? stderr.trim()}`);
}
