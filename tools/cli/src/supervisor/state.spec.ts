import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ensureConfigSecrets } from './config-secrets.ts';
import { identifyProcess } from './processes.ts';
import { claimRun, forgetRun, readRun, isSupervisorAlive, writeRun } from './run-record.ts';
import { ensureStaff, getStaffFile, markStaffShown } from './staff.ts';
import {
  ensureSecrets,
  forgetSecrets,
  openState,
  readJson,
  readSecrets,
  type StateFolder,
  writeJson,
} from './state.ts';

let state: StateFolder;
beforeEach(() => {
  state = openState(mkdtempSync(join(tmpdir(), 'jogakbo-state-')));
});
afterEach(() => rmSync(state.folder, { recursive: true }));

const run = () => ({
  supervisor: identifyProcess(process.pid)!,
  phase: 'starting' as const,
  ...{ workspace: '/workspace', publicUrl: 'http://localhost:1', port: 1, since: 0, services: [] },
});

describe('secrets', () => {
  it('are generated once per service, with file mode 0600', () => {
    const first = ensureSecrets(state, ['tea']);
    const second = ensureSecrets(state, ['tea', 'cups']);
    expect(second.databasePasswords.tea).toBe(first.databasePasswords.tea);
    expect(second.databasePasswords.cups).not.toBe(first.databasePasswords.tea);
    expect(second).toMatchObject({
      brokerAdministrator: first.brokerAdministrator,
      databaseAdministrator: first.databaseAdministrator,
    });
    expect(statSync(join(state.folder, 'secrets.json')).mode & 0o777).toBe(0o600);
  });

  it('of a removed service are forgotten, and new ones are generated for its name', () => {
    const { databasePasswords } = ensureSecrets(state, ['tea', 'cups']);
    forgetSecrets(state, 'tea');
    const { databasePasswords: after, ...others } = readSecrets(state)!;
    expect(after).toEqual({ cups: databasePasswords.cups });
    expect(JSON.stringify(others)).not.toContain('tea');
    expect(ensureSecrets(state, ['tea']).databasePasswords.tea).not.toBe(databasePasswords.tea);
    expect(statSync(join(state.folder, 'secrets.json')).mode & 0o777).toBe(0o600);
  });

  it('keep the values of a file with the names of an earlier version', () => {
    writeJson(join(state.folder, 'secrets.json'), {
      ...{ broker: 'b', database: 'd', services: { tea: 's' }, brokerLogins: { tea: 'l' } },
      serviceKeys: { tea: 'k' },
    });
    expect(ensureSecrets(state, ['tea'])).toEqual({
      ...{ brokerAdministrator: 'b', databaseAdministrator: 'd', databasePasswords: { tea: 's' } },
      ...{ brokerPasswords: { tea: 'l' }, serviceKeys: { tea: 'k' } },
    });
  });
});

describe('config server credentials', () => {
  it('are generated once per service, with file mode 0600, and keep clients added by hand', () => {
    const first = ensureConfigSecrets(state, [{ name: 'tea' }]);
    const key = readFileSync(first.keyFile, 'utf8');
    expect(key.trim().length).toBeGreaterThanOrEqual(32);
    writeJson(first.clientsFile, { ...first.passwords, elsewhere: 'by hand' });
    const second = ensureConfigSecrets(state, [{ name: 'tea' }, { name: 'cups' }]);
    expect(second.passwords).toMatchObject({ ...first.passwords, elsewhere: 'by hand' });
    expect(second.passwords.cups).not.toBe(second.passwords.tea);
    expect(readJson(second.clientsFile)).toEqual(second.passwords);
    expect(readFileSync(second.keyFile, 'utf8')).toBe(key);
    for (const file of [second.keyFile, second.clientsFile]) expect(statSync(file).mode & 0o777).toBe(0o600);
  });
});

describe('staff', () => {
  const roles = ['taster', 'operator'];
  it('is created once, and counts as shown after a start has printed its passwords', () => {
    const first = ensureStaff(state, roles, undefined);
    // The first start has failed after it wrote the file.
    const second = ensureStaff(state, roles, undefined);
    markStaffShown(state);
    const third = ensureStaff(state, roles, undefined);
    expect([first.isShown, second.isShown, third.isShown]).toEqual([false, false, true]);
    expect([second.staff, third.staff]).toEqual([first.staff, first.staff]);
    expect(first.staff.map(({ roles }) => roles.at(-1))).toEqual(roles);
    expect(statSync(getStaffFile(state)).mode & 0o777).toBe(0o600);
  });

  it('uses and stores a chosen password', () => {
    ensureStaff(state, roles, undefined);
    ensureStaff(state, roles, 'chosen');
    expect(ensureStaff(state, roles, undefined).staff.map(({ password }) => password)).toEqual([
      'chosen',
      'chosen',
    ]);
  });
});

describe('the run record', () => {
  it('is claimed by only one of two starts', () => {
    expect(claimRun(state, run())).toBe(true);
    expect(claimRun(state, run())).toBe(false);
    forgetRun(state, run().supervisor);
    expect(claimRun(state, run())).toBe(true);
    expect(statSync(join(state.folder, 'run.json')).mode & 0o777).toBe(0o600);
  });

  it('distinguishes the supervisor from a later process with the same pid', () => {
    writeRun(state, run());
    expect(isSupervisorAlive(readRun(state)!)).toBe(true);
    writeRun(state, { ...run(), supervisor: { pid: process.pid, began: 'another time' } });
    expect(isSupervisorAlive(readRun(state)!)).toBe(false);
  });

  it('is undefined if it is missing or incomplete', () => {
    expect(readRun(state)).toBeUndefined();
    writeFileSync(join(state.folder, 'run.json'), '{"supervisor":');
    expect(readRun(state)).toBeUndefined();
  });
});

describe('readJson', () => {
  it('reads a written file', () => {
    writeRun(state, run());
    expect(readJson(join(state.folder, 'run.json'))).toEqual(
      JSON.parse(readFileSync(join(state.folder, 'run.json'), 'utf8')),
    );
  });
});
