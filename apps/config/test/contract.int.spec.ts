import { contractTests } from '@jogakbo/testing/contract-tests';
import { ConfigModule } from '../src/config.module.ts';

contractTests(ConfigModule, {
  environment: {
    CONFIG_KEY: 'a key that is long enough for the tests',
    CONFIG_CLIENTS: JSON.stringify({ toys: 'the-password-of-toys' }),
  },
  known: { application: ['toys', 'application'] },
});
