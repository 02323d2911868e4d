import { service } from '@jogakbo/contract';
import { z } from 'zod';

const Version = z.object({ version: z.string() });

/** A shop of which several versions run at once; each says which one it is. */
export const shop = service('shop');
export const Look = shop.query('look', { input: z.strictObject({}), output: Version });
export const Sell = shop.command('sell', {
  input: z.strictObject({ id: z.string(), takes: z.int().default(0) }),
  output: Version,
});
/** Goes wrong as often as `failing` says. */
export const Pack = shop.command('pack', { input: z.strictObject({ id: z.string(), failing: z.int() }) });
