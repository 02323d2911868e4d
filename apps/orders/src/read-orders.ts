import { history, Projector } from '@jogakbo/consistency';
import { Id, platformRejection, toPage, type Body, type Money } from '@jogakbo/contract';
import {
  GetOrder,
  GetOrderOutcome,
  GetOrderOwner,
  ListOrders,
  type OrderLine,
  type OrderStatus,
} from '@jogakbo/contracts-orders';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { z } from 'zod';
import { orderList } from './order-list.projection.ts';
import { evolve, order, type Order, type OrderEvent } from './order.ts';

@Controller()
export class ReadOrdersHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly projector: Projector,
  ) {}

  @Handles(GetOrder)
  async get({ orderId }: Body<typeof GetOrder>, { caller }: MessageContext) {
    const log = await history(this.dataSource.manager, order, orderId);
    const { memberId, status, total, lines, shipTo, rejection } = replay(log);
    caller.mustOwn(memberId);
    const happened = log.map(({ type, at }) => ({ at: at.toISOString(), event: `order-${type}` }));
    return { orderId, status, total, lines, shipTo, history: happened, ...(rejection && { rejection }) };
  }

  @Handles(GetOrderOutcome)
  async getOutcome({ orderId }: Body<typeof GetOrderOutcome>) {
    const { outcome, total, rejection } = replay(await history(this.dataSource.manager, order, orderId));
    return { orderId, status: outcome, total, ...(rejection && { rejection }) };
  }

  @Handles(GetOrderOwner)
  async getOwner({ orderId }: Body<typeof GetOrderOwner>) {
    const { memberId } = replay(await history(this.dataSource.manager, order, orderId));
    return { memberId };
  }

  /** Ids rise with time: the last id is the cursor. `pending`: new orders may be missing, so the client asks again. */
  @Handles(ListOrders)
  async list({ limit, cursor }: Body<typeof ListOrders>, { caller }: MessageContext) {
    if (cursor && !Id.safeParse(cursor).success) throw ListOrders.reject('unknown-cursor');
    const pending = !(await this.projector.waitUntilCurrent(orderList.name));
    const rows = (await this.dataSource.query(
      `SELECT order_id, status, total, lines, placed_at FROM order_summary
       WHERE member_id = $1 AND ($2::uuid IS NULL OR order_id < $2) ORDER BY order_id DESC LIMIT $3`,
      [caller.memberId, cursor ?? null, limit + 1],
    )) as {
      order_id: string;
      status: OrderStatus;
      total: Money;
      lines: z.infer<typeof OrderLine>[];
      placed_at: Date;
    }[];
    const page = toPage(rows, limit, ({ order_id }) => order_id);
    const items = page.items.map(({ order_id, status, total, lines, placed_at }) => ({
      orderId: order_id,
      status,
      total,
      lines,
      placedAt: placed_at.toISOString(),
    }));
    return { items, nextCursor: page.nextCursor, pending };
  }
}

/** @throws Rejection `not-found` if the order has no events */
function replay(log: readonly OrderEvent[]): Order {
  const found = log.reduce<Order | undefined>(evolve, undefined);
  if (!found) throw platformRejection('not-found', 'there is no such order');
  return found;
}
