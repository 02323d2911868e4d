import { z } from 'zod';

/** All that lies beneath one path and is answered by the service itself: pages and forms, for everybody. */
export interface Pages {
  /** One segment, such as `/oidc`. No other route lies beneath it. */
  path: `/${string}`;
  /** What the names of its cookies begin with. No others reach the service, and it can set no others. */
  cookies: string;
}

/** The routes that pages take: `METHOD /path/*`. */
export const pageRoutes = (path: string): string[] => ['GET', 'POST'].map((method) => `${method} ${path}/*`);

/** A request for a page, as the gateway passes it on. Where it came from travels beside it. */
export const PageRequest = z.strictObject({
  method: z.enum(['GET', 'POST']),
  /** Path and query, as they came. */
  url: z.string().max(4_096),
  /** Names in lower case. */
  headers: z.record(z.string(), z.string()),
  body: z.string().optional(),
});
export type PageRequest = z.infer<typeof PageRequest>;

/** What it is answered with. */
export const PageAnswer = z.object({
  status: z.int().min(200).max(599),
  headers: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
  body: z.string(),
});
export type PageAnswer = z.infer<typeof PageAnswer>;

/** @throws Error where a path would take more than one segment, or a cookie's name could be any */
export function mustBePages(name: string, { path, cookies }: Pages): void {
  if (!/^\/[a-z][a-z0-9-]*$/.test(path)) throw new Error(`${name}: ${path} must be one segment`);
  if (!/^[\w-]{3,}$/.test(cookies)) throw new Error(`${name}: ${cookies} cannot begin the name of a cookie`);
}
