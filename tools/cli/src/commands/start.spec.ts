import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { identifyProcess } from '../supervisor/processes.ts';
import { forgetRun, type RunRecord, writeRun } from '../supervisor/run-record.ts';
import { openState, type StateFolder } from '../supervisor/state.ts';
import { start } from './start.ts';

let state: StateFolder;
const printed: string[] = [];
const run: RunRecord = {
  // This process stands for the supervisor of another terminal.
  supervisor: identifyProcess(process.pid)!,
  phase: 'ready',
  workspace: '/workspace',
  publicUrl: 'http://localhost:3999',
  port: 3999,
  since: 1,
  services: [],
};
beforeEach(() => {
  process.env.JOGAKBO_HOME = mkdtempSync(join(tmpdir(), 'jogakbo-start-'));
  state = openState();
  printed.length = 0;
  jest.spyOn(console, 'log').mockImplementation((text: string) => void printed.push(text));
});
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(state.folder, { recursive: true });
  delete process.env.JOGAKBO_HOME;
});

describe('a second start', () => {
  it('returns 0 if the store is ready', async () => {
    writeRun(state, run);
    expect(await start({})).toBe(0);
    expect(await start({ port: '3999' })).toBe(0);
    expect(printed).toContain('The store is already running: http://localhost:3999');
    await expect(start({ port: '4000' })).rejects.toThrow('on another port: http://localhost:3999');
  });

  it('fails if the running store has other options', async () => {
    writeRun(state, run);
    const error = 'without the options of this start: http://localhost:3999';
    await expect(start({ dense: true })).rejects.toThrow(error);
    await expect(start({ only: 'gateway' })).rejects.toThrow(error);
    writeRun(state, { ...run, dense: true, only: ['gateway', 'registry'] });
    await expect(start({ only: 'gateway' })).rejects.toThrow(error);
    expect(await start({})).toBe(0);
    expect(await start({ dense: true, only: 'registry,gateway' })).toBe(0);
  });

  it('returns only when a store that is starting is ready', async () => {
    writeRun(state, { ...run, phase: 'starting' });
    let code: number | undefined;
    const starting = start({ detach: true }).then((result) => (code = result));
    await pause(500);
    expect(code).toBeUndefined();
    writeRun(state, run);
    expect(await starting).toBe(0);
    expect(printed[0]).toBe(
      `The store is already starting, in process ${process.pid}. Waiting until it is ready.`,
    );
  });

  it('fails if the other start fails', async () => {
    writeRun(state, { ...run, phase: 'starting' });
    const starting = start({});
    forgetRun(state, run.supervisor);
    await expect(starting).rejects.toThrow(`The start of process ${process.pid} has failed.`);
  });

  it('fails while the store is stopping', async () => {
    writeRun(state, { ...run, phase: 'stopping' });
    await expect(start({})).rejects.toMatchObject({
      message: 'The store is stopping, so nothing was started.',
      remedies: [expect.stringContaining('npm stop && npm start')],
    });
  });

  it('fails while serve runs one service with its own backing services', async () => {
    writeRun(state, { ...run, onlyServes: 'loans' });
    await expect(start({})).rejects.toMatchObject({
      message: 'jogakbo serve runs loans here, with backing services of its own.',
      remedies: expect.arrayContaining(['then:  npx jogakbo serve loans']),
    });
  });
});
