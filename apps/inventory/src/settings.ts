import { settings } from '@jogakbo/service';
import { z } from 'zod';

export class InventorySettings extends settings({
  reservationMinutes: z.coerce
    .number()
    .positive()
    .max(1_440)
    .default(15)
    .describe('minutes that a reservation lasts; must be longer than the longest checkout'),
}) {}
