import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { checkDataFolders, checkPackages, checkPort, checkSecrets, checkSupervisor } from './checks.ts';
import { prepareDenseHost } from './dense-mode.ts';
import { identifyProcess } from './processes.ts';
import { writeRun } from './run-record.ts';
import { type LaunchContext } from './service-launch.ts';
import { ensureSecrets, openState, type StateFolder } from './state.ts';

let state: StateFolder;
beforeEach(() => {
  state = openState(mkdtempSync(join(tmpdir(), 'jogakbo-checks-')));
});
afterEach(() => rmSync(state.folder, { recursive: true }));

const self = process.getuid!();
const put = (path: string, content: unknown) => {
  mkdirSync(join(state.folder, path, '..'), { recursive: true });
  writeFileSync(join(state.folder, path), typeof content === 'string' ? content : JSON.stringify(content));
};

describe('checks of a start and of doctor', () => {
  it('pass in a new folder', () => {
    const checks = [checkSecrets(state), checkDataFolders(state), checkSupervisor(state)];
    expect(checks.map(({ ok }) => ok)).toEqual([true, true, true]);
  });

  it.each(['secrets.json', 'staff.json', 'config-clients.json'])('report an invalid %s', (file) => {
    ensureSecrets(state);
    put(file, '{"broker": "half of');
    expect(checkSecrets(state)).toMatchObject({ ok: false, text: expect.stringContaining(file) });
  });

  it('report a data folder of another user', () => {
    mkdirSync(join(state.folder, 'postgres'));
    // An empty folder, such as a mount point: the first start changes its owner.
    expect(checkDataFolders(state, { uid: self + 1, gid: 0 }).ok).toBe(true);
    put('postgres/PG_VERSION', '18');
    expect(checkDataFolders(state, { uid: self, gid: 0 }).ok).toBe(true);
    expect(checkDataFolders(state, { uid: self + 1, gid: 0 })).toMatchObject({
      ok: false,
      text: `${state.folder}/postgres belongs to user ${self}, but PostgreSQL runs as user ${self + 1}`,
    });
  });

  it('report a killed supervisor', () => {
    const supervisor = { pid: process.pid, began: 'another time' };
    writeRun(state, {
      supervisor,
      phase: 'ready',
      workspace: '/workspace',
      publicUrl: '',
      port: 1,
      since: 0,
      services: [],
    });
    expect(checkSupervisor(state)).toMatchObject({ ok: false, text: expect.stringContaining('was killed') });
    put('run.json', '{"supervisor":');
    expect(checkSupervisor(state)).toMatchObject({ ok: false, text: expect.stringContaining('run.json') });
  });

  it('report packages that are missing or have another version', () => {
    const packages = {
      ...{ '': {}, 'node_modules/here': { version: '1.0.0' }, 'node_modules/gone': { version: '1.0.0' } },
      ...{ 'node_modules/old': { version: '2.0.0' }, 'node_modules/other-system': { optional: true } },
      'apps/one/node_modules/deep': { version: '1.0.0' },
    };
    put('package-lock.json', { packages });
    for (const name of ['here', 'old']) put(`node_modules/${name}/package.json`, { version: '1.0.0' });
    expect(checkPackages('all', state.folder)).toMatchObject({
      ok: false,
      text: 'gone, old, deep: missing, or not in the version of package-lock.json',
      fixes: ['npm ci'],
    });
  });
});

it('commands to copy quote paths with spaces', () => {
  const spaced = openState(join(state.folder, 'my store'));
  mkdirSync(join(spaced.folder, 'postgres'));
  put('my store/postgres/PG_VERSION', '18');
  expect(checkDataFolders(spaced, { uid: self + 1, gid: 0 }).fixes).toEqual([
    `change its owner:  sudo chown -R ${self + 1} '${spaced.folder}/postgres'`,
  ]);
  put('my store/secrets.json', 'broken');
  const file = `${spaced.folder}/secrets.json`;
  expect(checkSecrets(spaced).fixes.at(-1)).toBe(
    `or start without its content:  mv '${file}' '${file}.broken'`,
  );
});

(process.platform === 'linux' ? it : it.skip)(
  'the port of another store in dense mode is recognized',
  async () => {
    const other = openState(join(state.folder, 'other'));
    const { env } = prepareDenseHost({ state: other } as LaunchContext);
    const script =
      "require('net').createServer().listen(0, '127.0.0.1', function () { console.log(this.address().port) })";
    const child = spawn(process.execPath, ['-e', script], { cwd: other.folder, env });
    try {
      const port = await new Promise<number>((resolve) =>
        child.stdout.on('data', (text) => resolve(Number(text))),
      );
      const process_ = identifyProcess(child.pid)!;
      const service = { name: 'loans', state: 'ready' as const, process: process_, since: 0, restarts: 0 };
      writeRun(other, {
        supervisor: process_,
        phase: 'ready',
        workspace: other.folder,
        publicUrl: '',
        port,
        since: 0,
        services: [service],
      });
      expect((await checkPort(port, state)).fixes[0]).toMatch(/^stop that store: {2}cd .* npm stop$/);
    } finally {
      child.kill();
    }
  },
);

describe('the state folder', () => {
  it.each([
    ['in a file system without write access', () => '/proc/nowhere/jogakbo'],
    ['beneath a file', () => (put('file', ''), join(state.folder, 'file', 'home'))],
  ])('is rejected with one error %s', (_where, folder) => {
    expect(() => openState(folder())).toThrow(/^The state folder .* cannot be written to/);
  });

  it('is rejected without write permission', () => {
    chmodSync(state.folder, 0o500);
    try {
      // root can write to it.
      if (self !== 0) expect(() => openState(state.folder)).toThrow(/cannot be written to/);
    } finally {
      chmodSync(state.folder, 0o700);
    }
  });
});
