import { Projector } from '@jogakbo/consistency';
import { Id, toPage, type Body } from '@jogakbo/contract';
import type { Money } from '@jogakbo/contracts-commerce';
import { ListOrders, type OrderLine, type OrderStatus } from '@jogakbo/contracts-orders';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { z } from 'zod';
import { orderList } from './order-list.projection.ts';

@Controller()
export class ListOrdersHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly projector: Projector,
  ) {}

  /** Ids rise with time: the last id is the cursor. `pending`: new orders may be missing, so the client asks again. */
  @Handles(ListOrders)
  async handle({ limit, cursor }: Body<typeof ListOrders>, { caller }: MessageContext) {
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
