import { Id, service } from '@jogakbo/contract';
import { z } from 'zod';

/** The least that can be asked of anybody, over the bus and over HTTP. */
export const trivial = service('trivial', 'Answers at once.');

export const GetTrifle = trivial.query('get-trifle', {
  input: z.strictObject({ trifleId: Id }),
  output: z.object({ trifleId: Id, text: z.string() }),
  http: 'GET /v1/trifles/{trifleId}',
  access: 'public',
});

/** The same, and one answer for all who ask within a second. */
export const GetSharedTrifle = trivial.query('get-shared-trifle', {
  input: z.strictObject({ trifleId: Id }),
  output: z.object({ trifleId: Id, text: z.string() }),
  http: { route: 'GET /v1/shared-trifles/{trifleId}', cache: { maxAge: 1 } },
  access: 'public',
});

/** Takes as long as it is told: what it can do at a time is bounded, as that of a database is. */
export const Workload = trivial.query('labour', {
  input: z.strictObject({ takes: z.int() }),
  output: z.object({ done: z.boolean() }),
  http: 'GET /v1/labours',
  access: 'public',
});

export const text = 'A trifle, as small as they come.';
