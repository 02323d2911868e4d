import { GetOrderOwner } from '@jogakbo/contracts-orders';
import { payments } from '@jogakbo/contracts-payments';
import { consistencyMigrations, eventStoreMigrations } from '@jogakbo/consistency';
import { Readiness, Service } from '@jogakbo/service';
import { Sandbox1700000001000 } from '../migrations/1700000001000-sandbox.ts';
import { AuthorizePaymentHandler } from './authorize-payment.ts';
import { CapturePaymentHandler } from './capture-payment.ts';
import { CheckPaymentTokenHandler } from './check-payment-token.ts';
import { FairCalls } from './fair-calls.ts';
import { HttpProvider } from './http-provider.ts';
import { ledger } from './ledger.projection.ts';
import { ListOrderPaymentsHandler } from './list-order-payments.ts';
import { PaymentProvider } from './provider.ts';
import { ReturnPaymentHandler } from './return-payment.ts';
import { Sandbox } from './sandbox/sandbox.ts';
import { PaymentsSettings } from './settings.ts';

@Service({
  contract: payments,
  calls: [GetOrderOwner],
  settings: PaymentsSettings,
  migrations: [...consistencyMigrations, ...eventStoreMigrations, Sandbox1700000001000],
  projections: [ledger],
  providers: [
    FairCalls,
    Sandbox,
    {
      provide: PaymentProvider,
      inject: [PaymentsSettings, Sandbox, Readiness],
      useFactory: async (settings: PaymentsSettings, sandbox: Sandbox, readiness: Readiness) => {
        const { providerUrl, providerToken, providerTimeout } = settings;
        if (providerUrl) return new HttpProvider(providerUrl, providerToken, providerTimeout);
        // Local mode: elsewhere, settings without a provider are invalid.
        readiness.simulate('payment-provider');
        const { url, token } = await sandbox.listen();
        return new HttpProvider(url, token, providerTimeout, true);
      },
    },
  ],
  handlers: [
    AuthorizePaymentHandler,
    CapturePaymentHandler,
    ReturnPaymentHandler,
    ListOrderPaymentsHandler,
    CheckPaymentTokenHandler,
  ],
})
export class PaymentsModule {}
