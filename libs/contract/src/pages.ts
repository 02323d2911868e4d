import { z } from 'zod';

/** Public pages and forms beneath one path, served by the service itself. */
export interface Pages {
  /** One segment, such as `/oidc`. No other route may begin with it. */
  path: `/${string}`;
  /** Name prefix of its cookies. The service can neither receive nor set other cookies. */
  cookies: string;
}

/** The routes of pages: `METHOD /path/*`. */
export const pageRoutes = (path: string): string[] => ['GET', 'POST'].map((method) => `${method} ${path}/*`);

/** A request for a page, as the gateway forwards it. The address of the client is in the message context. */
export const PageRequest = z.strictObject({
  method: z.enum(['GET', 'POST']),
  /** Path and query, unchanged. */
  url: z.string().max(4_096),
  /** Names in lower case. */
  headers: z.record(z.string(), z.string()),
  body: z.string().optional(),
});
export type PageRequest = z.infer<typeof PageRequest>;

/** The response to a `PageRequest`. */
export const PageAnswer = z.object({
  status: z.int().min(200).max(599),
  headers: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
  body: z.string(),
});
export type PageAnswer = z.infer<typeof PageAnswer>;

/** @throws Error if the path is not one segment, or the cookie prefix is not valid */
export function assertPages(name: string, { path, cookies }: Pages): void {
  if (!/^\/[a-z][a-z0-9-]*$/.test(path))
    throw new Error(`${name}: path ${path} must be one segment, such as /oidc`);
  if (!/^[\w-]{3,}$/.test(cookies))
    throw new Error(`${name}: cookies ${cookies} must be a prefix of at least 3 letters, digits, _ or -`);
}
