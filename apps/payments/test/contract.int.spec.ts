import { contractTests } from '@jogakbo/testing/contract-tests';
import { PaymentsModule } from '../src/payments.module.ts';
import stubs from '../stubs.ts';

contractTests(PaymentsModule, {
  stubs,
  environment: { PROVIDER_TIMEOUT: '200', SANDBOX_DELAY: '1' },
  known: { token: ['tok_ok', 'tok_declined'] },
});
