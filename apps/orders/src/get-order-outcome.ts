import { history } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { GetOrderOutcome } from '@jogakbo/contracts-orders';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { order, toOrder } from './order.ts';

@Controller()
export class GetOrderOutcomeHandler {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(GetOrderOutcome)
  async handle({ orderId }: Body<typeof GetOrderOutcome>) {
    const { outcome, total, rejection } = toOrder(await history(this.dataSource.manager, order, orderId));
    return { orderId, status: outcome, total, ...(rejection && { rejection }) };
  }
}
