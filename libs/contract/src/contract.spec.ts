import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import type { RateLimit } from './contract.ts';
import { service } from './declare-service.ts';
import { describe as describeContract, ServiceDescription } from './description.ts';
import { renderOpenApi } from './openapi.ts';

const shape = { input: z.strictObject({}), output: z.object({ n: z.int() }) };

describe('the HTTP binding of a contract', () => {
  const announced = (limit: string) => {
    const things = service('things');
    things.query('get', {
      ...shape,
      http: { route: 'GET /things', cache: { maxAge: 2 }, limit: limit as RateLimit },
      access: 'public',
    });
    return ServiceDescription.safeParse(JSON.parse(JSON.stringify(describeContract(things))));
  };

  it('is announced with its rate limit and its cache', () => {
    const { data } = announced('10/minute');
    expect(data!.requests[0]!.http).toMatchObject({ limit: '10/minute', cache: { maxAge: 2 } });
  });

  it.each(['10', '0/minute', '-1/minute', '1.5/minute', '10/day', 'many/minute', '10/minute '])(
    'rejects the rate limit %j',
    (limit) => {
      expect(announced(limit).success).toBe(false);
    },
  );

  it('allows a cache for public reads only', () => {
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

describe('the access policy of a route', () => {
  const read = { ...shape, http: 'GET /things' as const };

  // As from JavaScript, or with a cast.
  it.each([undefined, null, '', 'any body', 'Operator', ['operator'], 'con structor'])(
    'is required: rejects access %j',
    (access) => {
      const spec = { ...read, access } as unknown as typeof read & { access: 'public' };
      expect(() => service('things').query('get', spec)).toThrow(
        'things.get: GET /things needs an access policy',
      );
      expect(() => service('things').command('get', spec)).toThrow(
        'needs an access policy: set access to one of',
      );
    },
  );

  it('is rejected without a route', () => {
    const spec = { ...shape, access: 'public' } as unknown as typeof shape;
    expect(() => service('things').query('get', spec)).toThrow('access is set, but there is no route');
    expect(() => service('things').query('get', { ...read, access: 'owner' })).not.toThrow();
    expect(() => service('things').query('get', shape)).not.toThrow();
  });

  it('is required in the OpenAPI document', () => {
    const things = service('things');
    things.query('get', { ...read, access: 'operator' });
    const announced = JSON.parse(JSON.stringify(describeContract(things))) as ServiceDescription;
    const options = { title: 'T', version: '1', description: '', serverUrl: '/', license };
    const paths = (some: ServiceDescription) =>
      Object.keys(renderOpenApi([some], options)['paths'] as object);
    expect(paths(announced)).toEqual(['/things']);
    delete announced.requests[0]!.access;
    expect(paths(announced)).toEqual([]);
    announced.requests[0]!.access = 'any body';
    expect(ServiceDescription.safeParse(announced).success).toBe(false);
    announced.requests[0]!.access = 'taster';
    expect(ServiceDescription.safeParse(announced).success).toBe(true);
  });
});

const license = { name: 'MIT', identifier: 'MIT' };
