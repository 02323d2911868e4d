import { describe, expect, it } from '@jest/globals';
import { describe as describeContract, service, type Fallback } from '@jogakbo/contract';
import { z } from 'zod';
import { findFallback } from './fallbacks.ts';

const input = { q: z.string(), limit: z.int().default(20) };
const item = { name: z.string(), price: z.object({ amount: z.int() }), next: z.string().nullable() };

/** Whether `library.look` is taken as what answers for `shop.find`. */
function taken(
  look: { input?: z.ZodRawShape; item?: z.ZodRawShape; standsInFor?: string; kind?: 'command' } = {},
) {
  const shop = service('shop');
  shop.query('find', {
    input: z.strictObject(input),
    output: z.object({ items: z.array(z.object(item)), note: z.string().optional() }),
    http: { route: 'GET /v1/find', fallback: { query: 'library.look' } },
    access: 'public',
  });
  const library = service('library');
  library[look.kind ?? 'query']('look', {
    input: z.strictObject(look.input ?? input),
    output: z.object({ items: z.array(z.object(look.item ?? { ...item, more: z.string() })) }),
    standsInFor: look.standsInFor ?? 'shop.find',
  });
  const [asked, other] = [describeContract(shop), describeContract(library)];
  return {
    known: findFallback(asked.requests[0]!, [asked, other]),
    unknown: findFallback(asked.requests[0]!, [asked]),
  };
}

describe('a fallback', () => {
  it('is taken where it takes and tells all that the read does', () => {
    expect(taken().known).toMatchObject({ service: 'library', contract: { name: 'library.look' } });
    expect(taken({ input: { ...input, more: z.string().optional() } }).known).toHaveProperty('service');
    expect(taken().unknown).toBeUndefined();
  });

  it.each([
    ['does not stand in for it', { standsInFor: 'shop.other' }],
    ['does not stand in for it', { kind: 'command' }],
    ['asks for something else: limit', { input: { q: z.string() } }],
    ['asks for something else: shelf', { input: { ...input, shelf: z.string() } }],
    ['does not tell items[].price', { item: { name: z.string() } }],
    ['does not tell items[].next', { item: { ...item, next: z.string() } }],
    ['does not tell items[].price', { item: { ...item, price: item.price.optional() } }],
    ['does not tell items[].price.amount', { item: { ...item, price: z.object({ amount: z.string() }) } }],
  ] as const)('%s', (why, look) => {
    expect(taken(look).known).toBe(`library.look ${why}`);
  });

  it('that is one answer for all must be a whole one', () => {
    const read = (fallback: Fallback) => {
      const shop = service('shop');
      shop.query('find', {
        ...{ input: z.strictObject({}), output: z.object({ items: z.array(z.string()) }) },
        access: 'public',
        http: { route: 'GET /v1/find' as const, fallback },
      });
      const { requests } = describeContract(shop);
      return findFallback(requests[0]!, []);
    };
    expect(read({ answer: { items: [] } })).toEqual({ answer: { items: [] } });
    expect(read({ answer: {} })).toBe('its answer has no items');
  });
});
