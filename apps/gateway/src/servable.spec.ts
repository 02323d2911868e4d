import type { ServiceDescription } from '@jogakbo/contract';
import { describe, expect, it } from '@jest/globals';
import { findUnservableReason } from './servable.ts';

const contract = (output: object, http: object = {}): ServiceDescription =>
  ({
    service: 'shop',
    description: '',
    events: [],
    requests: [
      {
        name: 'shop.get',
        kind: 'query',
        description: '',
        input: {},
        output,
        rejections: {},
        idempotency: 'none',
        access: 'public',
        http: { method: 'GET', path: '/v1/x', parameters: [], status: 200, ...http },
      },
    ],
  }) as unknown as ServiceDescription;

/** Contracts beyond those that the announcement schema accepts today. */
describe('a contract', () => {
  it('is servable, or rejected with a reason', () => {
    let deep: object = {};
    for (let at = 0; at < 20_000; at++) deep = { properties: { a: deep } };
    expect(findUnservableReason(contract({ type: 'object' }))).toBeUndefined();
    expect(findUnservableReason(contract(deep))).toContain('call stack');
    expect(findUnservableReason(contract({ required: 5 }, { fallback: { answer: {} } }))).toContain(
      'not a function',
    );
  });
});
