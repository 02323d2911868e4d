import { beforeEach, describe, expect, it } from '@jest/globals';
import { closeTogether, openParts, type Part } from './parts.ts';

let calls: string[];
beforeEach(() => {
  calls = [];
});

const part = (name: string, fails: 'open' | 'close' | undefined = undefined): Part => {
  const call = (what: 'open' | 'close') => async () => {
    calls.push(`${what} ${name}`);
    if (what === fails) throw new Error(`${name} does not ${what}`);
  };
  return { open: call('open'), close: call('close') };
};

describe('the parts of a service', () => {
  it('open in order and close in reverse, once', async () => {
    const close = await openParts([part('broker'), {}, part('database'), part('http')]);
    await Promise.all([close(), close()]);
    expect(calls).toEqual([
      'open broker',
      'open database',
      'open http',
      'close http',
      'close database',
      'close broker',
    ]);
  });

  it('are closed if one of them does not open, including that one', async () => {
    const parts = [part('broker'), part('database', 'open'), part('http')];
    await expect(openParts(parts)).rejects.toThrow('database does not open');
    expect(calls).toEqual(['open broker', 'open database', 'close database', 'close broker']);
  });

  it('all close even if one of them does not', async () => {
    const close = await openParts([part('broker'), part('database', 'close'), part('http')]);
    await expect(close()).rejects.toThrow('database does not close');
    expect(calls.slice(3)).toEqual(['close http', 'close database', 'close broker']);
  });

  it('can close together', async () => {
    const closing = Promise.withResolvers<void>();
    const waits: Part = { close: () => closing.promise };
    const close = await openParts([closeTogether(part('broker'), waits, part('http'))]);
    const closed = close();
    expect(calls).toEqual(['open broker', 'open http', 'close broker', 'close http']);
    closing.resolve();
    await closed;
  });
});
