import { settings } from '@jogakbo/service';
import { z } from 'zod';

export class InventorySettings extends settings({
  reservationMinutes: z.coerce
    .number()
    .positive()
    .max(1_440)
    .default(15)
    .describe('how long pieces are held for an order; longer than a checkout may take'),
}) {}
