import { append, load, OutOfOrder, type UnitOfWork } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { CapturePayment, ReturnPayment } from '@jogakbo/contracts-payments';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { FairCalls } from './fair-calls.ts';
import { canCapture, catchUp, getReturnStep, payment, toPaymentId, type Payment } from './payment.ts';
import { PaymentProvider, ProviderFault, type Reference } from './provider.ts';

/** Holds no connection during provider calls. The later of two concurrent commits fails and is redelivered. */
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
    if (!canCapture(found.state?.status)) return;
    const defer = (delay: number) => work.publishLater(CapturePayment({ orderId }), delay);
    await this.calls.run(getPayer(orderId, found.state), defer, async () => {
      const charge = await this.provider.capture(getReference(orderId, found.state));
      // A return voided it, lost its commit and is redelivered. Without one, this message ends as a dead letter.
      if (charge.status !== 'captured')
        throw new OutOfOrder(`the charge of order ${orderId} is already ${charge.status}`);
      await append(work, payment, orderId, found, catchUp(found.state, charge));
    });
  }

  /** Makes the order free of charge for good, whatever messages about it are still in flight. */
  @Handles(ReturnPayment)
  async returnPayment({ orderId }: Body<typeof ReturnPayment>, work: UnitOfWork) {
    const found = await load(this.dataSource.manager, payment, orderId);
    const step = getReturnStep(found.state?.status);
    if (!step) return;
    const defer = (delay: number) => work.publishLater(ReturnPayment({ orderId }), delay);
    await this.calls.run(getPayer(orderId, found.state), defer, async () => {
      let charge = step === 'void' ? await this.provider.void(toPaymentId(orderId)) : undefined;
      // Captured: recorded here, or by a capture that lost its commit.
      if (!charge || charge.status === 'captured')
        charge = await this.provider.refund(getReference(orderId, found.state));
      if (charge.status === 'authorized' || charge.status === 'captured')
        throw new ProviderFault(`the charge of order ${orderId} is still ${charge.status}`);
      await append(work, payment, orderId, found, catchUp(found.state, charge));
    });
  }
}

/** The key for `FairCalls`: the member, or the order if there is no payment yet. */
const getPayer = (orderId: string, known: Payment | undefined): string => known?.memberId ?? orderId;

/** @throws Error if the reference of the charge is not recorded */
function getReference(orderId: string, known: Payment | undefined): Reference {
  if (!known?.reference) throw new Error(`the charge of order ${orderId} has no recorded reference`);
  return { paymentId: toPaymentId(orderId), reference: known.reference };
}
