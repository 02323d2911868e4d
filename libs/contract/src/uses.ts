import { z } from 'zod';
import { JsonSchema } from './json-schema.ts';

/**
 * What a version of a service uses of another one, as it was when this version was built. A request sends its input and
 * receives its output (null if it has none); an event is received, or sent where services publish an event for another one.
 */
export const UseDescription = z.object({
  /** The full name of the request or event. */
  name: z.string().max(200),
  kind: z.enum(['command', 'query', 'event']),
  sends: JsonSchema.optional(),
  /** What the reader accepts: its schema before parsing. */
  receives: JsonSchema.nullable().optional(),
  /** The rejection codes that the caller knows. */
  rejections: z.array(z.string().max(200)).max(200).optional(),
  /** Whether the caller relies on the encryption of input and output. */
  sensitive: z.boolean().optional(),
});
export type UseDescription = z.infer<typeof UseDescription>;

/** A migration of the database of a service. */
export const MigrationDescription = z.object({
  name: z.string().max(200),
  /** Set if it removes something: the version of the service since which nothing uses that. */
  unusedSince: z.string().max(200).optional(),
});
export type MigrationDescription = z.infer<typeof MigrationDescription>;
