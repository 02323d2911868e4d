import { append, load, OutOfOrder, type UnitOfWork } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { CapturePayment, ReturnPayment } from '@jogakbo/contracts-payments';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { FairCalls } from './fair-calls.ts';
import { catchUp, mustCapture, payment, toPaymentId, toReturn, type Payment } from './payment.ts';
import { PaymentProvider, ProviderFault, type Reference } from './provider.ts';

/** Holds no connection while the provider works. Of two concurrent messages the later commit fails and is redelivered. */
@Controller()
export class MovePaymentHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly provider: PaymentProvider,
    private readonly calls: FairCalls,
  ) {}

  @Handles(CapturePayment)
  async capture({ orderId }: Body<typeof CapturePayment>, work: UnitOfWork) {
    const found = await load(this.dataSource.manager, payment, orderId);
    if (!mustCapture(found.state?.status)) return;
    const defer = (delay: number) => work.publishLater(CapturePayment({ orderId }), delay);
    await this.calls.run(getPayer(orderId, found.state), defer, async () => {
      const charge = await this.provider.capture(reference(orderId, found.state));
      // Voided by a return that lost its commit and is redelivered. Without such a return this ends in the dead letters.
      if (charge.status !== 'captured') throw new OutOfOrder(`the charge is ${charge.status} already`);
      await append(work, payment, orderId, found, catchUp(found.state, charge));
    });
  }

  /** After this the order has cost nothing and never will, whatever of it is still on the way. */
  @Handles(ReturnPayment)
  async giveBack({ orderId }: Body<typeof ReturnPayment>, work: UnitOfWork) {
    const found = await load(this.dataSource.manager, payment, orderId);
    const step = toReturn(found.state?.status);
    if (!step) return;
    const defer = (delay: number) => work.publishLater(ReturnPayment({ orderId }), delay);
    await this.calls.run(getPayer(orderId, found.state), defer, async () => {
      let charge = step === 'void' ? await this.provider.void(toPaymentId(orderId)) : undefined;
      // Captured: known here, or by a capture that lost its commit.
      if (!charge || charge.status === 'captured')
        charge = await this.provider.refund(reference(orderId, found.state));
      if (charge.status === 'authorized' || charge.status === 'captured')
        throw new ProviderFault(`the charge is still ${charge.status}`);
      await append(work, payment, orderId, found, catchUp(found.state, charge));
    });
  }
}

/** Whose calls these are. Where no payment is known the member is not either, and the order stands for it. */
const getPayer = (orderId: string, known: Payment | undefined): string => known?.memberId ?? orderId;

/** @throws Error where the provider has a charge of which nothing is known here */
function reference(orderId: string, known: Payment | undefined): Reference {
  if (!known?.reference) throw new Error(`the charge of order ${orderId} is not known here`);
  return { paymentId: toPaymentId(orderId), reference: known.reference };
}
