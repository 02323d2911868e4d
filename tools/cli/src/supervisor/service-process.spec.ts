import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually } from '@jogakbo/testing';
import { LogFile } from './log-file.ts';
import { identifyProcess } from './processes.ts';
import { ServiceProcess } from './service-process.ts';

let folder: string;
let service: ServiceProcess;
const messages: string[] = [];
const inFolder = (name: string) => join(folder, name);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jogakbo-service-'));
  messages.length = 0;
  symlinkSync(process.execPath, inFolder('node'));
  writeFileSync(
    inFolder('main.js'),
    "process.send({ type: 'ready', url: 'http://x' }); setInterval(() => {}, 1000);",
  );
  const launch = { command: inFolder('node'), args: [inFolder('main.js')], cwd: folder, env: {} };
  service = new ServiceProcess('tea', launch, new LogFile(folder, 'tea'), {
    onMessage: (text) => void messages.push(text),
    onChange: () => undefined,
  });
});
afterEach(async () => {
  await service.stop(true);
  rmSync(folder, { recursive: true });
});

const getPid = () => service.toRecord().process!.pid;

describe('a service process', () => {
  it('is started again after it was killed, but not after a stop', async () => {
    await service.start();
    process.kill(getPid(), 'SIGKILL');
    await eventually(() => messages.includes('tea is back'));
    expect(messages[0]).toBe('tea ended (SIGKILL); starting it again in 0.5 s');
    expect(service.restarts).toBe(1);
    const pid = getPid();
    await service.stop();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect([service.state, identifyProcess(pid)]).toEqual(['stopped', undefined]);
  });

  it('is started again after a start that failed because its program could not be run', async () => {
    await service.start();
    renameSync(inFolder('node'), inFolder('away'));
    process.kill(getPid(), 'SIGKILL');
    await eventually(() => messages.some((text) => text.includes('could not be started')));
    expect(service.state).toBe('waiting');
    renameSync(inFolder('away'), inFolder('node'));
    await eventually(() => messages.includes('tea is back'));
    expect(service.state).toBe('ready');
  });

  it('is not started again if its first start failed', async () => {
    writeFileSync(inFolder('main.js'), "console.error('fell over'); process.exit(3);");
    await expect(service.start()).rejects.toMatchObject({
      message: 'tea ended (code 3) before it was ready',
      code: 3,
      errorLines: ['fell over'],
    });
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(messages).toEqual([]);
    rmSync(inFolder('node'));
    await expect(service.start()).rejects.toThrow(/tea could not be started: .*ENOENT$/);
  });

  it('keeps its state while it is suspended', async () => {
    await service.start();
    await service.suspend();
    expect(service.toRecord()).toMatchObject({ state: 'suspended', process: undefined });
    await service.resume();
    expect(service.state).toBe('ready');
    await service.resume();
    await service.restart();
    expect(service.state).toBe('ready');
  });
});
