import { history } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { GetOrder } from '@jogakbo/contracts-orders';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { order, toOrder } from './order.ts';

@Controller()
export class GetOrderHandler {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(GetOrder)
  async handle({ orderId }: Body<typeof GetOrder>, { caller }: MessageContext) {
    const log = await history(this.dataSource.manager, order, orderId);
    const { memberId, status, total, lines, shipTo, rejection } = toOrder(log);
    caller.mustOwn(memberId);
    const happened = log.map(({ type, at }) => ({ at: at.toISOString(), event: `order-${type}` }));
    return { orderId, status, total, lines, shipTo, history: happened, ...(rejection && { rejection }) };
  }
}
