import { append, load, noEvents, type UnitOfWork } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { AuthorizePayment, ReturnPayment } from '@jogakbo/contracts-payments';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { FairCalls } from './fair-calls.ts';
import { catchUp, payment, toPaymentId } from './payment.ts';
import { PaymentProvider } from './provider.ts';

@Controller()
export class AuthorizePaymentHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly provider: PaymentProvider,
    private readonly calls: FairCalls,
  ) {}

  @Handles(AuthorizePayment)
  async handle(command: Body<typeof AuthorizePayment>, work: UnitOfWork) {
    if ((await load(this.dataSource.manager, payment, command.orderId)).state) return;
    const defer = (delay: number) => work.publishLater(AuthorizePayment(command), delay);
    await this.calls.run(command.memberId, defer, () => this.#authorize(command, work));
  }

  /** Holds no connection during the provider call. The later of two concurrent commits fails and is redelivered. */
  async #authorize(
    { orderId, memberId, amount, token }: Body<typeof AuthorizePayment>,
    work: UnitOfWork,
  ): Promise<void> {
    const charge = await this.provider.authorize({ paymentId: toPaymentId(orderId), amount, token });

    const details = { memberId, amount, sandbox: this.provider.sandbox };
    const now = await load(work.tx, payment, orderId);
    if (!now.state) {
      await append(work, payment, orderId, noEvents, catchUp(undefined, charge, details));
    } else if (now.state.status === 'returned' && charge.status === 'authorized') {
      // The order ended during the provider call: publish no event, and void the authorization.
      await append(work, payment, orderId, now, catchUp(undefined, charge, details));
      work.publishLater(ReturnPayment({ orderId }), 0);
    }
  }
}
