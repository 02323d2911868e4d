import type { Body } from '@jogakbo/contract';
import { CheckPaymentToken } from '@jogakbo/contracts-payments';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { PaymentProvider } from './provider.ts';

@Controller()
export class CheckPaymentTokenHandler {
  constructor(private readonly provider: PaymentProvider) {}

  @Handles(CheckPaymentToken)
  async handle({ token }: Body<typeof CheckPaymentToken>) {
    return { known: await this.provider.isTokenKnown(token) };
  }
}
