import { type Mutant, replace } from '@jogakbo/chaos/src/mutant.ts';

/** Defects of the services of this store. */
export const mutants: Record<string, Mutant> = {
  'no-version-check': {
    description: 'a stock update overwrites concurrent updates',
    services: ['inventory'],
    changes: [
      replace(
        'WHERE product_id = ANY($1) ORDER BY product_id FOR UPDATE`',
        'WHERE product_id = ANY($1) ORDER BY product_id`',
      ),
    ],
    faults: [],
    seconds: 20,
  },
  'no-compensation': {
    description: 'the stock of an unpaid order stays reserved',
    services: ['orders'],
    changes: [
      replace(
        'end(ReturnStock({ orderId }), RejectOrder({ orderId, reason }))',
        'end(RejectOrder({ orderId, reason }))',
      ),
    ],
    faults: [],
    seconds: 15,
  },
  'no-expiry': {
    description: 'reservations never expire',
    services: ['inventory'],
    changes: [
      replace(
        'publishLater(ExpireReservation({\n      orderId\n    }), this.settings.reservationMinutes * 6e4);',
        '',
      ),
    ],
    faults: [],
    seconds: 30,
  },
};
