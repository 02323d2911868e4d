import { append, load, type UnitOfWork } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { CapturePayment, ReturnPayment } from '@jogakbo/contracts-payments';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { payment, paymentIdOf, toCapture, toReturn, type PaymentStatus, type Step } from './payment.ts';
import { PaymentProvider } from './provider.ts';

@Controller()
export class MovePaymentHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly provider: PaymentProvider,
  ) {}

  @Handles(CapturePayment)
  async capture({ orderId }: Body<typeof CapturePayment>, work: UnitOfWork) {
    await this.#move(orderId, toCapture, work);
  }

  /** After this the order has cost nothing and never will, whatever of it is still on the way. */
  @Handles(ReturnPayment)
  async giveBack({ orderId }: Body<typeof ReturnPayment>, work: UnitOfWork) {
    await this.#move(orderId, toReturn, work);
  }

  /** No connection is held while the provider works. Whoever is faster meanwhile wins; the loser comes again. */
  async #move(
    orderId: string,
    next: (status: PaymentStatus | undefined) => Step | undefined,
    work: UnitOfWork,
  ): Promise<void> {
    const found = await load(this.dataSource.manager, payment, orderId);
    const step = next(found.state?.status);
    if (!step) return;
    if (step.ask === 'void') await this.provider.void(paymentIdOf(orderId));
    else await this.provider[step.ask](found.state!.reference!);
    await append(work, payment, orderId, found, [{ type: step.becomes }]);
  }
}
