import { describe, expect, it } from '@jest/globals';
import { describe as describeContract, service, type Fallback } from '@jogakbo/contract';
import { z } from 'zod';
import { findFallback } from './fallbacks.ts';

const input = { q: z.string(), limit: z.int().default(20) };
const item = { name: z.string(), price: z.object({ amount: z.int() }), next: z.string().nullable() };

/** Looks for the fallback `library.look` of `shop.find`. */
function find(
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
  const [called, other] = [describeContract(shop), describeContract(library)];
  return {
    known: findFallback(called.requests[0]!, [called, other]),
    unknown: findFallback(called.requests[0]!, [called]),
  };
}

describe('a fallback', () => {
  it('is used if it accepts the input and returns the output of the read', () => {
    expect(find().known).toMatchObject({ service: 'library', contract: { name: 'library.look' } });
    expect(find({ input: { ...input, more: z.string().optional() } }).known).toHaveProperty('service');
    expect(find().unknown).toBeUndefined();
  });

  it.each([
    ['is not a query with standsInFor: shop.find', { standsInFor: 'shop.other' }],
    ['is not a query with standsInFor: shop.find', { kind: 'command' }],
    ['has a different input: limit', { input: { q: z.string() } }],
    ['has a different input: shelf', { input: { ...input, shelf: z.string() } }],
    ['lacks items[].price', { item: { name: z.string() } }],
    ['lacks items[].next', { item: { ...item, next: z.string() } }],
    ['lacks items[].price', { item: { ...item, price: item.price.optional() } }],
    ['lacks items[].price.amount', { item: { ...item, price: z.object({ amount: z.string() }) } }],
  ] as const)('%s', (reason, look) => {
    expect(find(look).known).toBe(`library.look ${reason}`);
  });

  it('that is a constant must have all required fields', () => {
    const read = (fallback: Fallback) => {
      const shop = service('shop');
      shop.query('find', {
        input: z.strictObject({}),
        output: z.object({ items: z.array(z.string()) }),
        access: 'public',
        http: { route: 'GET /v1/find' as const, fallback },
      });
      const { requests } = describeContract(shop);
      return findFallback(requests[0]!, []);
    };
    expect(read({ answer: { items: [] } })).toEqual({ answer: { items: [] } });
    expect(read({ answer: {} })).toBe('its answer lacks items');
  });
});
