import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { prepareSharedProcess } from './shared-process.ts';
import { migrateTogether } from './migrations.ts';

describe('migrations of several services in one process', () => {
  let folder: string;
  let reports: string[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'jogakbo-migrations-'));
    reports = [];
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** @param main what main.js of the service does */
  function addService(name: string, main: string) {
    writeFileSync(join(folder, `${name}.mjs`), main);
    const args = ['--max-old-space-size=64', `${name}.mjs`];
    return { name, launch: { command: 'node', args, cwd: folder, env: { TABLE: name } } };
  }
  async function run(...services: ReturnType<typeof addService>[]) {
    const host = prepareSharedProcess('migration-host.mjs', [], { state: { folder, logs: folder, id: 'x' } });
    const ended = [];
    const signal = AbortSignal.timeout(30_000);
    for await (const one of migrateTogether(services, host, (text) => reports.push(text), signal))
      ended.push(one);
    return ended;
  }
  const appendRun = (name: string) =>
    `import { appendFileSync } from 'node:fs';
     appendFileSync('runs', [${JSON.stringify(name)}, process.env.TABLE, process.argv[2], process.pid].join() + '\\n');`;
  const readRuns = () => readFileSync(join(folder, 'runs'), 'utf8').trim().split('\n');

  it('run each with its own settings', async () => {
    const ended = await run(addService('tea', appendRun('tea')), addService('cups', appendRun('cups')));
    expect(ended).toEqual([
      { name: 'tea', code: 0, lines: [] },
      { name: 'cups', code: 0, lines: [''] },
    ]);
    const [tea, cups] = readRuns().map((line) => line.split(','));
    expect(tea).toEqual(['tea', 'tea', 'migrate', expect.any(String)]);
    expect(cups).toEqual(['cups', 'cups', 'migrate', tea![3]]);
    expect(reports).toEqual(['migrating tea', 'migrating cups']);
  });

  it('go on in another process if a service ends it', async () => {
    const exits = `${appendRun('tea')} process.exit(0);`;
    expect(await run(addService('tea', exits), addService('cups', appendRun('cups')))).toHaveLength(2);
    const [tea, cups] = readRuns().map((line) => line.split(',')[3]);
    expect(tea).not.toBe(cups);
  });

  it.each([
    ['exits', `console.error('cups: column "size" exists'); process.exit(78);`, 78],
    ['sets an exit code', `console.error('cups: column "size" exists'); process.exitCode = 3;`, 3],
    ['throws', `throw new Error('cups: column "size" exists');`, 1],
  ])('end after the first service that %s, with its own output', async (_how, main, code) => {
    const tea = addService('tea', `console.log('tea is done'); console.error('tea is done');`);
    const ended = await run(tea, addService('cups', main), addService('pots', appendRun('pots')));
    expect(ended.map((one) => [one.name, one.code])).toEqual([
      ['tea', 0],
      ['cups', code],
    ]);
    const output = ended[1]!.lines.join('\n');
    expect(output).toContain('cups: column "size" exists');
    expect(output).not.toContain('tea is done');
    expect(readRuns).toThrow();
  });

  it('fail with the first service if the process does not start', async () => {
    const { launch } = addService('tea', '');
    const host = { ...launch, command: join(folder, 'missing') };
    const ended = migrateTogether([{ name: 'tea', launch }], host, () => {}, AbortSignal.timeout(9_000));
    expect(await ended.next()).toMatchObject({ value: { name: 'tea', code: 127 } });
  });
});
