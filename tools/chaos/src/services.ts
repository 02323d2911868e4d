/** Everybody whom a fault may hit. */
export const services = [
  'gateway',
  'identity',
  'catalog',
  'search',
  'inventory',
  'orders',
  'payments',
  'notifications',
  'registry',
  'config',
] as const;

/** Those with a database, an outbox, an inbox and queues of their own. */
export const stateful = services.filter((name) => name !== 'gateway');
