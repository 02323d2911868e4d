import { spawnSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { compactWhenIdle } from './compact-heap.ts';

function work(milliseconds: number): void {
  for (const end = performance.now() + milliseconds; performance.now() < end;);
}

it('compacts the heap at its start, and once after each period of work', async () => {
  let count = 0;
  const stop = compactWhenIdle({ intervalMs: 60, compact: () => (count += 1) });
  expect(count).toBe(1);
  // The test runner worked a moment ago, which counts, too.
  await pause(400);
  const atRest = count;
  await pause(300);
  expect(count).toBe(atRest);
  for (let round = 0; round < 4; round++) {
    work(40);
    await pause(20);
    expect(count).toBe(atRest);
  }
  await pause(600);
  expect(count).toBe(atRest + 1);
  stop();
});

it('collects garbage', () => {
  // In a process of its own: here Jest decides when garbage is collected.
  const script = `
    import { compactWhenIdle } from ${JSON.stringify(new URL('compact-heap.ts', import.meta.url).href)};
    const makeGarbage = () => Array.from({ length: 1_000_000 }, () => ({})).length;
    makeGarbage();
    const before = process.memoryUsage().heapUsed;
    compactWhenIdle()();
    console.log(before - process.memoryUsage().heapUsed);`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(Number(stdout)).toBeGreaterThan(20_000_000);
});
