import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { findPostgresUser } from '@jogakbo/cli/src/backing/postgres/postgres-binaries.ts';
import { ensureSecrets, openState } from '@jogakbo/cli/src/supervisor/state.ts';
import { FakeWorkspace } from '../src/fake-workspace.ts';
import { until } from '../src/jogakbo.ts';

const workspace = new FakeWorkspace();
beforeAll(() => workspace.make(['gateway', 'orders']));
afterAll(() => workspace.remove());
const expectStopped = () => expect(existsSync(join(workspace.home, 'run.json'))).toBe(false);

describe('a failed start with private servers', () => {
  /** Processes of this store. Their command line or environment contains its folder. */
  const listProcesses = () =>
    readdirSync('/proc').filter((pid) => {
      if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
      try {
        const files = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8'));
        return files.join().includes(workspace.home);
      } catch {
        return false;
      }
    });
  const writeState = (path: string, content: string) => {
    mkdirSync(dirname(join(workspace.home, path)), { recursive: true });
    writeFileSync(join(workspace.home, path), content);
  };
  beforeEach(() => rmSync(workspace.home, { recursive: true, force: true }));

  it.each([
    ['PostgreSQL cannot start', 'The private PostgreSQL did not start'],
    ['RabbitMQ cannot start', 'The private RabbitMQ did not start'],
  ])('leaves no process if %s', async (what, reason) => {
    ensureSecrets(openState(workspace.home));
    if (what.startsWith('PostgreSQL')) writeState('postgres/PG_VERSION', 'none');
    if (what.startsWith('RabbitMQ')) writeState('rabbitmq/data', 'not a folder');
    const user = findPostgresUser();
    const data = join(workspace.home, 'postgres');
    if (user && existsSync(data)) chownSync(data, user.uid, user.gid);
    const { code, output } = await workspace.run(['start', '--no-seed']);
    expect({ code, output }).toEqual({ code: 1, output: expect.stringContaining(reason) });
    expect(listProcesses()).toEqual([]);
    expectStopped();
  });

  it('leaves no process if it was killed and then stopped', async () => {
    const { child } = workspace.spawn(['start', '--no-seed']);
    await until(
      () => existsSync(join(workspace.home, 'rabbitmq', 'broker.pid')) && listProcesses().length > 2,
      // A busy machine starts PostgreSQL slowly.
      60_000,
    );
    child.kill('SIGKILL');
    await workspace.run(['stop']);
    expect(listProcesses()).toEqual([]);
    expectStopped();
  });
});
