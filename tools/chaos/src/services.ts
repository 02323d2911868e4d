/** All services that a fault may affect. */
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

/** The services with their own database, outbox, inbox and queues. */
export const stateful = services.filter((name) => name !== 'gateway');
