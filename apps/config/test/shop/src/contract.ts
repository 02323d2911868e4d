import { service } from '@jogakbo/contract';
import { z } from 'zod';

const Version = z.object({ version: z.string() });

/** A shop with several versions that run at the same time. Each replies with its own version. */
export const shop = service('shop');
export const Look = shop.query('look', { input: z.strictObject({}), output: Version });
export const Sell = shop.command('sell', {
  input: z.strictObject({ id: z.string(), takes: z.int().default(0) }),
  output: Version,
});
/** Fails `failing` times, then succeeds. */
export const Pack = shop.command('pack', { input: z.strictObject({ id: z.string(), failing: z.int() }) });
