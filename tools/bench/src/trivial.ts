import { Id, service } from '@jogakbo/contract';
import { z } from 'zod';

/** A service with minimal requests, over the bus and over HTTP. */
export const ping = service('trivial', 'Answers at once.');

export const GetPing = ping.query('get-trifle', {
  input: z.strictObject({ trifleId: Id }),
  output: z.object({ trifleId: Id, text: z.string() }),
  http: 'GET /v1/trifles/{trifleId}',
  access: 'public',
});

/** The same query, with one answer for all requests within a second. */
export const GetSharedPing = ping.query('get-shared-trifle', {
  input: z.strictObject({ trifleId: Id }),
  output: z.object({ trifleId: Id, text: z.string() }),
  http: { route: 'GET /v1/shared-trifles/{trifleId}', cache: { maxAge: 1 } },
  access: 'public',
});

/** Takes the requested time. The concurrency of the service is limited, like that of a database. */
export const Workload = ping.query('labour', {
  input: z.strictObject({ takes: z.int() }),
  output: z.object({ done: z.boolean() }),
  http: 'GET /v1/labours',
  access: 'public',
});

export const text = 'A trifle, as small as they come.';
