import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { prepareDenseHost } from './dense-mode.ts';
import { migrateTogether } from './migrations.ts';
import { type LaunchCommand } from './service-launch.ts';

describe('migrations of several services in one process', () => {
  let folder: string;
  const launches = new Map<string, LaunchCommand>();
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'jogakbo-migrations-'));
    launches.clear();
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Adds a service whose main.js hands over this function. */
  function addService(name: string, migrate: string): void {
    writeFileSync(
      join(folder, `${name}.mjs`),
      `globalThis[Symbol.for('jogakbo.service-host')]('${name}', undefined, ${migrate});`,
    );
    launches.set(name, { command: 'node', args: [`${name}.mjs`], cwd: folder, env: { TABLE: name } });
  }
  const run = () => {
    const host = prepareDenseHost({ state: { folder, logs: folder, id: 'x' } });
    return migrateTogether(launches, host, new AbortController().signal);
  };

  it('run each with its own settings; a failure is that of one service', async () => {
    const file = join(folder, 'done');
    addService('tea', `async ({ TABLE }) => (await import('node:fs')).writeFileSync('${file}', TABLE)`);
    addService('cups', `async () => { throw new Error('column "size" exists'); }`);
    addService(
      'pots',
      `async () => { throw { wrong: [{ key: 'DATABASE_URL', origin: 'not set', problem: 'is missing' }] }; }`,
    );
    expect(await run()).toEqual([
      {
        name: 'cups',
        code: 1,
        lines: expect.arrayContaining([expect.stringContaining('column "size" exists')]),
      },
      {
        name: 'pots',
        code: 78,
        lines: ['pots cannot start: 1 of its settings are wrong.', '  DATABASE_URL (not set): is missing'],
      },
    ]);
    expect(readFileSync(file, 'utf8')).toBe('tea');
  });

  it('fail with what the process printed if it ends', async () => {
    addService('tea', `async () => { console.error('out of memory'); process.exit(5); }`);
    await expect(run()).rejects.toMatchObject({
      message: 'The process of the migrations ended (code 5).',
      details: ['out of memory'],
    });
  });
});
