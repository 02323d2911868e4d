// The engine is a fake one here: these tests are about the decisions. Real processes are in the end-to-end test of jogakbo deploy.
import { describe, expect, it } from '@jest/globals';
import type { Handled } from './compare-versions.ts';
import { type Engine, NotReady, type VersionState } from './engine.ts';
import { rollOut, type RolloutOptions } from './rollout.ts';

const release = { service: 'tea', version: '2' };
const handled = (ok: number, failed = 0): Handled => ({ isCall: true, ok, failed, rejected: 0, buckets: [] });
const healthy = { instances: 1, ready: 1, restarts: 0, memory: 50 };

class FakeEngine implements Engine {
  readonly environment = 'a fake';
  readonly calls: string[] = [];
  readonly options: {
    startError?: Error;
    cannotSplit?: boolean;
    isFirst?: boolean;
    next?: Partial<VersionState>;
    onShift?: (percent: number) => void;
  };
  /** Failures of the new version per measurement. */
  failing = 0;
  #polls = 0;

  constructor(options: FakeEngine['options'] = {}) {
    this.options = options;
  }
  async start(): Promise<void> {
    this.calls.push('start');
    if (this.options.startError) throw this.options.startError;
  }
  async shift(_release: object, percent: number): Promise<boolean> {
    this.calls.push(`shift ${percent}`);
    this.options.onShift?.(percent);
    return !this.options.cannotSplit;
  }
  async measure(): Promise<Map<string, VersionState>> {
    this.#polls += 1;
    const traffic = (one: Handled) => new Map([['tea.brew', one]]);
    const { isFirst } = this.options;
    if (isFirst && this.calls.length === 0) return new Map();
    return new Map([
      ...(isFirst ? [] : [['1', { ...healthy, traffic: traffic(handled(10 * this.#polls)) }] as const]),
      [
        '2',
        {
          ...healthy,
          traffic: traffic(handled(5 * this.#polls, this.failing * this.#polls)),
          ...this.options.next,
        },
      ],
    ]);
  }
  async promote(): Promise<void> {
    this.calls.push('promote');
  }
  async withdraw(): Promise<void> {
    this.calls.push('withdraw');
  }
}

const run = (engine: Engine, options: Partial<RolloutOptions> = {}) =>
  rollOut(engine, release, { steps: [10, 50, 100], watchMs: 1, ...options }, () => undefined);

describe('a rollout', () => {
  it('shifts the calls in steps, and promotes the new version', async () => {
    const engine = new FakeEngine();
    await expect(run(engine)).resolves.toMatchObject({ outcome: 'promoted' });
    expect(engine.calls).toEqual(['start', 'shift 10', 'shift 50', 'shift 100', 'promote']);
  });

  it('promotes a version without steps as soon as it is ready', async () => {
    const engine = new FakeEngine();
    await expect(run(engine, { steps: [] })).resolves.toMatchObject({ outcome: 'promoted' });
    expect(engine.calls).toEqual(['start', 'promote']);
  });

  it('withdraws a version that does not become ready, and returns the end of its log', async () => {
    const engine = new FakeEngine({ startError: new NotReady('tea ended (code 1)', ['Error: no tea']) });
    await expect(run(engine)).resolves.toEqual({
      outcome: 'rolled back',
      reason: 'tea ended (code 1)',
      lines: ['Error: no tea'],
    });
    expect(engine.calls).toEqual(['start', 'shift 0', 'withdraw']);
  });

  it('returns the calls to the current version before it withdraws one that fails', async () => {
    const engine = new FakeEngine({ onShift: (percent) => (engine.failing = percent === 50 ? 5 : 0) });
    await expect(run(engine)).resolves.toMatchObject({
      outcome: 'rolled back',
      reason: expect.stringContaining('failed'),
    });
    expect(engine.calls).toEqual(['start', 'shift 10', 'shift 50', 'shift 0', 'withdraw']);
  });

  it.each([
    ['ended', { restarts: 1 }, 'its process ended'],
    ['is not ready any more', { ready: 0 }, '1 of 1 processes are not ready'],
    ['uses too much memory', { memory: 200 * 2 ** 20 }, 'a process uses 200 MB, more than 100 MB'],
  ])('withdraws a version whose process %s', async (_what, next, reason) => {
    const engine = new FakeEngine({ next });
    await expect(run(engine, { memoryLimit: 100 * 2 ** 20 })).resolves.toMatchObject({ reason });
    expect(engine.calls).toEqual(['start', 'shift 10', 'shift 0', 'withdraw']);
  });

  it('has one step where calls cannot be split', async () => {
    const engine = new FakeEngine({ cannotSplit: true });
    await expect(run(engine)).resolves.toMatchObject({ outcome: 'promoted' });
    expect(engine.calls).toEqual(['start', 'shift 10', 'promote']);
  });

  it('has one step for the first version of a service', async () => {
    const engine = new FakeEngine({ isFirst: true });
    expect(await run(engine)).toMatchObject({ outcome: 'promoted' });
    expect(engine.calls).toEqual(['start', 'shift 100', 'promote']);
  });

  it('withdraws the version after an interruption', async () => {
    const abort = new AbortController();
    const engine = new FakeEngine({ onShift: (percent) => percent === 50 && abort.abort() });
    await expect(run(engine, { signal: abort.signal })).resolves.toMatchObject({ reason: 'interrupted' });
    expect(engine.calls.slice(-2)).toEqual(['shift 0', 'withdraw']);
  });

  it('withdraws the version also after an error of the engine, and throws it', async () => {
    const engine = new FakeEngine({
      onShift: (percent) => {
        if (percent === 50) throw new Error('no connection');
      },
    });
    await expect(run(engine)).rejects.toThrow('no connection');
    expect(engine.calls.slice(-2)).toEqual(['shift 0', 'withdraw']);
  });
});
