// Specs that talk to a real RabbitMQ and a real PostgreSQL; each suite makes its own vhost and database.
import { base } from './jest.config.mjs';

export default {
  ...base,
  testRegex: '\\.int\\.spec\\.ts$',
  testTimeout: 30_000,
  maxWorkers: 2,
};
