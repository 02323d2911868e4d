import { Id, service } from '@jogakbo/contract';
import { z } from 'zod';

/** A service with minimal requests, over the bus and over HTTP. */
export const ping = service('ping', 'Answers at once.');

export const GetPing = ping.query('get-ping', {
  input: z.strictObject({ pingId: Id }),
  output: z.object({ pingId: Id, text: z.string() }),
  http: 'GET /v1/pings/{pingId}',
  access: 'public',
});

/** The same query, with one answer for all requests within a second. */
export const GetSharedPing = ping.query('get-shared-ping', {
  input: z.strictObject({ pingId: Id }),
  output: z.object({ pingId: Id, text: z.string() }),
  http: { route: 'GET /v1/shared-pings/{pingId}', cache: { maxAge: 1 } },
  access: 'public',
});

/** Takes the requested time. The concurrency of the service is limited, like that of a database. */
export const Workload = ping.query('workload', {
  input: z.strictObject({ takes: z.int() }),
  output: z.object({ done: z.boolean() }),
  http: 'GET /v1/workloads',
  access: 'public',
});

export const text = 'pong';
