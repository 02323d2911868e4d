// Integration tests: use a real RabbitMQ and PostgreSQL; each suite creates its own vhost and database.
import { base } from './jest.config.mjs';

export default {
  ...base,
  testRegex: '\\.int\\.spec\\.ts$',
  testTimeout: 30_000,
  maxWorkers: 2,
};
