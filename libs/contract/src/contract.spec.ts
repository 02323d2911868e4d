import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { service, type RateLimit } from './contract.ts';
import { describe as describeContract, ServiceDescription } from './description.ts';

const shape = { input: z.strictObject({}), output: z.object({ n: z.int() }) };

describe('what a contract says of HTTP', () => {
  const announced = (limit: string) => {
    const things = service('things');
    things.query('get', {
      ...shape,
      http: { route: 'GET /things', cache: { maxAge: 2 }, limit: limit as RateLimit },
      access: 'public',
    });
    return ServiceDescription.safeParse(JSON.parse(JSON.stringify(describeContract(things))));
  };

  it('is announced with its limit and its cache', () => {
    const { data } = announced('10/minute');
    expect(data!.requests[0]!.http).toMatchObject({ limit: '10/minute', cache: { maxAge: 2 } });
  });

  it.each(['10', '0/minute', '-1/minute', '1.5/minute', '10/day', 'many/minute', '10/minute '])(
    'is no limit where it reads %j',
    (limit) => {
      expect(announced(limit).success).toBe(false);
    },
  );

  it('lets nothing be cached but public reads', () => {
    const cache = { maxAge: 2 };
    const things = service('things');
    const read = { route: 'GET /things', cache } as const;
    expect(() => things.query('own', { ...shape, http: read, access: 'member' })).toThrow('public read');
    expect(() =>
      things.command('make', { ...shape, http: { route: 'POST /things', cache }, access: 'public' }),
    ).toThrow('public read');
    expect(() => things.query('all', { ...shape, http: read, access: 'public' })).not.toThrow();
  });
});
