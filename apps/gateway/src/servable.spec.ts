import type { ServiceDescription } from '@jogakbo/contract';
import { describe, expect, it } from '@jest/globals';
import { whyNotServable } from './servable.ts';

const contract = (output: object, http: object = {}): ServiceDescription =>
  ({
    ...{ service: 'shop', description: '', events: [] },
    requests: [
      {
        ...{ name: 'shop.get', kind: 'query', description: '', input: {}, output, rejections: {} },
        ...{ idempotency: 'none', access: 'public' },
        http: { method: 'GET', path: '/v1/x', parameters: [], status: 200, ...http },
      },
    ],
  }) as unknown as ServiceDescription;

/** Whatever the form of announcements lets pass one day. */
describe('a contract', () => {
  it('is servable, or costs nothing but itself', () => {
    let deep: object = {};
    for (let at = 0; at < 20_000; at++) deep = { properties: { a: deep } };
    expect(whyNotServable(contract({ type: 'object' }))).toBeUndefined();
    expect(whyNotServable(contract(deep))).toContain('call stack');
    expect(whyNotServable(contract({ required: 5 }, { fallback: { answer: {} } }))).toContain(
      'not a function',
    );
  });
});
