import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { importChaosModule } from '../src/chaos-module.ts';
import { buildServices, makeMutantWorkspace, mutatePrograms } from '../src/mutant-workspace.ts';
import { listMutants } from '../src/mutants.ts';
import { faultNames } from '../src/schedule.ts';
import { repository } from '../src/store.ts';

/** Runs `npm run chaos` with these arguments. */
function runChaos(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, ['tools/chaos/src/main.ts', ...args], {
    cwd: repository,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (output += text));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
}

const module = await importChaosModule();
const mutants = listMutants(module);
/** Faults need a workload, which a new product does not have yet. */
const describeWorkload = module ? describe : describe.skip;

/** `npm run test:full` injects every kind of fault and runs every mutant, which takes a quarter of an hour. */
const isFull = process.env['TEST_FULL'] === '1';
const plan = isFull
  ? // This seed schedules every kind of fault within two minutes.
    { seconds: '120', seed: '31', faults: faultNames }
  : // This seed schedules the duplicates and the crash first: they need messages, which are few while a server recovers. The
    // crash ends several services, so the other faults wait until they are back.
    { seconds: '70', seed: '1268', faults: ['kill', 'broker', 'database', 'duplicates', 'crash', 'cut'] };

describeWorkload(`${plan.seconds} seconds of faults`, () => {
  it('lose nothing and apply nothing twice', async () => {
    const { code, output } = await runChaos(
      ...['--seconds', plan.seconds, '--seed', plan.seed, '--clients', '8'],
      ...['--faults', plan.faults.join(',')],
    );
    // On failure, Jest prints the whole output: it has the evidence and the command to replay the run.
    expect(code === 0 ? 'well' : output).toBe('well');
    expect(output).toContain('\n0 violations\n');
    for (const fault of plan.faults) expect(output).toMatch(new RegExp(`^ .* s  ${fault} `, 'm'));
    expect(output).toMatch(/\ncrashes by point: .* [1-9]/);
    expect(output).toMatch(/\n\d+ of \d+ faults took effect; \d{3,} \w+, \d{3,} requests/);
    expect(output).toContain('stopped; no process is left');
  }, 420_000);
});

describe('a store with a defect', () => {
  beforeAll(() => buildServices(), 120_000);

  it.each(Object.keys(mutants))('applies to the built services: %s', (name) => {
    expect(() => mutatePrograms(mutants[name]!)).not.toThrow();
  });

  it('has a workspace of its own, in which the command line runs', () => {
    const workspace = mkdtempSync(join(tmpdir(), 'jogakbo-mutant-'));
    try {
      makeMutantWorkspace(workspace, Object.values(mutants)[0]!);
      const main = join(workspace, 'tools/cli/src/main.ts');
      const env = { ...process.env, JOGAKBO_WORKSPACE: workspace };
      const { status, stderr } = spawnSync(process.execPath, [main, '--version'], { env, encoding: 'utf8' });
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    } finally {
      rmSync(workspace, { recursive: true, force: true });
    }
  });

  if (isFull && module)
    it.each(Object.keys(mutants))(
      'is found within three tries: %s',
      async (name) => {
        let last = { code: 0 as number | null, output: '' };
        for (const seed of ['7', '8', '9'])
          if (last.code === 0) last = await runChaos('--mutant', name, '--seed', seed);
        expect(last.output).toContain('VIOLATION');
        expect(last.code).toBe(1);
      },
      600_000,
    );
});

describe('the command line', () => {
  it('prints its help', async () => {
    const { code, output } = await runChaos('--help');
    expect(code).toBe(0);
    for (const name of Object.keys(mutants)) expect(output).toContain(name);
  });

  if (!module)
    it('requires a workload', async () => {
      const { code, output } = await runChaos('--seconds', '5');
      expect(code).toBe(2);
      expect(output).toContain('jogakbo.config.ts names no module "chaos"');
    });

  it.each([
    [['--faults', 'kill,nonsense'], 'unknown fault "nonsense"'],
    [['--mutant', 'nonsense'], 'unknown mutant "nonsense"'],
    [['--mutants', '--seconds', '5'], 'its own faults and seconds'],
    [['--seconds', 'x'], 'not a number'],
    [['--nonsense'], 'Unknown option'],
  ])('rejects %j', async (args, reason) => {
    const { code, output } = await runChaos(...args);
    expect(code).toBe(2);
    expect(output).toContain(reason);
  });
});
