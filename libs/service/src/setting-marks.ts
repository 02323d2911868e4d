import type { z } from 'zod';

/** A setting that is read at each use, or watched (`ServiceSettings.onChange`): a change needs no restart. */
export const live = <T extends z.ZodType>(schema: T): T => schema.meta({ ...schema.meta(), live: true });

/** A setting whose value is never shown, and whose file must not be readable by other users. */
export const secret = <T extends z.ZodType>(schema: T): T => schema.meta({ ...schema.meta(), secret: true });

/**
 * A setting that decides which parties the service trusts, or which addresses it listens on, connects to or publishes. The
 * config server does not store it, and the service ignores it from there: one stolen login must not decide that.
 */
export const environmentOnly = <T extends z.ZodType>(schema: T): T =>
  schema.meta({ ...schema.meta(), environmentOnly: true });

export const isMarked = (schema: z.ZodType, mark: 'live' | 'secret' | 'environmentOnly'): boolean =>
  schema.meta()?.[mark] === true;
