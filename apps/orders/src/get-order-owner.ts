import { history } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { GetOrderOwner } from '@jogakbo/contracts-orders';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { order, toOrder } from './order.ts';

@Controller()
export class GetOrderOwnerHandler {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(GetOrderOwner)
  async handle({ orderId }: Body<typeof GetOrderOwner>) {
    const { memberId } = toOrder(await history(this.dataSource.manager, order, orderId));
    return { memberId };
  }
}
