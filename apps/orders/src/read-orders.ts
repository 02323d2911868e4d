import type { Body, Money } from '@jogakbo/contract';
import {
  GetOrder,
  GetOrderOutcome,
  ListOrders,
  type OrderLine,
  type OrderStatus,
} from '@jogakbo/contracts-orders';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { z } from 'zod';
import { readLog, replay } from './order-log.ts';

@Controller()
export class ReadOrdersHandler {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(GetOrder)
  async get({ orderId }: Body<typeof GetOrder>, { caller }: MessageContext) {
    const log = await readLog(this.dataSource.manager, orderId);
    const { memberId, status, total, lines, shipTo, rejection } = replay(log);
    caller.mustOwn(memberId);
    const history = log.map(({ type, at }) => ({ at: at.toISOString(), event: `order-${type}` }));
    return { orderId, status, total, lines, shipTo, history, ...(rejection && { rejection }) };
  }

  @Handles(GetOrderOutcome)
  async outcome({ orderId }: Body<typeof GetOrderOutcome>) {
    const { outcome, total, rejection } = replay(await readLog(this.dataSource.manager, orderId));
    return { orderId, status: outcome, total, ...(rejection && { rejection }) };
  }

  /** Ids are given out in the order of time, so the last one seen is the cursor. */
  @Handles(ListOrders)
  async list({ limit, cursor }: Body<typeof ListOrders>, { caller }: MessageContext) {
    if (cursor && !/^[0-9a-f-]{36}$/.test(cursor)) throw ListOrders.reject('unknown-cursor');
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
    const items = rows.slice(0, limit).map(({ order_id, status, total, lines, placed_at }) => ({
      orderId: order_id,
      status,
      total,
      lines,
      placedAt: placed_at.toISOString(),
    }));
    return { items, nextCursor: rows.length > limit ? items.at(-1)!.orderId : null };
  }
}
