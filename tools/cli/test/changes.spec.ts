import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { SampleWorkspace } from '@jogakbo/delivery/src/sample-workspace.ts';

const program = join(import.meta.dirname, '..', 'src', 'main.ts');
let workspace: SampleWorkspace;

function git(...args: string[]): void {
  const author = ['-c', 'user.name=test', '-c', 'user.email=test@localhost'];
  const { status, stderr } = spawnSync('git', [...author, ...args], {
    cwd: workspace.root,
    encoding: 'utf8',
  });
  expect({ status, stderr }).toMatchObject({ status: 0 });
}
const commitAll = (message: string) => {
  git('add', '--all');
  git('commit', '--quiet', '--message', message);
};
const runChanges = (...args: string[]) =>
  spawnSync(process.execPath, [program, 'changes', ...args], {
    cwd: workspace.root,
    encoding: 'utf8',
    env: { ...process.env, JOGAKBO_WORKSPACE: workspace.root },
  });

beforeEach(() => {
  workspace = new SampleWorkspace();
  workspace.write('package.json', '{"version": "1.0.0"}');
  git('init', '--quiet', '--initial-branch=main');
  commitAll('Start');
});
afterEach(() => rmSync(workspace.root, { recursive: true }));

it('shows the services that a change deploys, compared with the commit from which it branched off', () => {
  git('switch', '--quiet', '--create', 'change');
  workspace.write('apps/tea/src/main.ts', 'export {};\n');
  commitAll('Change tea');
  git('switch', '--quiet', 'main');
  workspace.write('apps/coffee/src/main.ts', 'export {};\n');
  commitAll('Change coffee on main');
  git('switch', '--quiet', 'change');
  const { status, stdout, stderr } = runChanges();
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(
    /^deploy +tea .+ → .+\n +apps\/tea changed\nkeep +coffee .+\n\n1 of 2 services differ from main \(\w{10}\)\n$/,
  );
  const plan = JSON.parse(runChanges('--base', 'change~1', '--json').stdout) as { action: string }[];
  expect(plan.map(({ action }) => action)).toEqual(['keep', 'deploy']);
  // The worktree of the other commit is gone.
  const { stdout: worktrees } = spawnSync('git', ['worktree', 'list'], {
    cwd: workspace.root,
    encoding: 'utf8',
  });
  expect(worktrees.trim().split('\n')).toHaveLength(1);
});

it('says how to get a commit that is missing', () => {
  const { status, stderr } = runChanges('--base', 'origin/main');
  expect(status).toBe(1);
  expect(stderr).toContain('The change cannot be compared with origin/main: git does not have that commit.');
  expect(stderr).toContain('git fetch origin');
});
