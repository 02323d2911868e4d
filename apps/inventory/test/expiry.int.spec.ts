import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUIDv7 } from 'node:crypto';
import {
  CommitStock,
  ExpireReservation,
  ReservationExpired,
  ReserveStock,
  ReturnStock,
  StockChanged,
} from '@jogakbo/contracts-inventory';
import { ServiceUnderTest } from '@jogakbo/testing';
import { InventoryModule } from '../src/inventory.module.ts';

describe('a reservation of an unpaid order', () => {
  let inventory: ServiceUnderTest;
  const lines = (quantity: number) => [{ productId, quantity }];
  const productId = randomUUIDv7();
  const places = async () =>
    (await inventory.query('SELECT on_hand::int, reserved::int, sold::int FROM stock'))[0];

  beforeAll(async () => {
    inventory = await ServiceUnderTest.start(InventoryModule, { RESERVATION_MINUTES: '0.01' });
    await inventory.query('INSERT INTO stock (product_id, on_hand, received) VALUES ($1, 3, 3)', [productId]);
  });
  afterAll(() => inventory.stop());

  it('expires, also across a restart, and can still be sold while there are enough pieces', async () => {
    const [late, other] = [randomUUIDv7(), randomUUIDv7()];
    await inventory.ask(ReserveStock, { orderId: late, lines: lines(2) });
    await inventory.restart();
    await inventory.waitForEvent(ReservationExpired, ({ orderId }) => orderId === late);
    await expect(places()).resolves.toEqual({ on_hand: 3, reserved: 0, sold: 0 });
    await inventory.waitForEvent(StockChanged, ({ available }) => available === 3);

    await inventory.ask(CommitStock, { orderId: late });
    await expect(places()).resolves.toEqual({ on_hand: 1, reserved: 0, sold: 2 });

    await inventory.ask(ReserveStock, { orderId: other, lines: lines(1) });
    await inventory.waitForEvent(ReservationExpired, ({ orderId }) => orderId === other);
    await inventory.query('UPDATE stock SET on_hand = 0, received = received - 1');
    await expect(inventory.ask(CommitStock, { orderId: other })).rejects.toMatchObject({ code: 'internal' });
    await expect(places()).resolves.toEqual({ on_hand: 0, reserved: 0, sold: 2 });

    await inventory.ask(ReturnStock, { orderId: other });
    await inventory.ask(CommitStock, { orderId: other });
    await expect(places()).resolves.toEqual({ on_hand: 0, reserved: 0, sold: 2 });
    expect(inventory.getPublishedEvents(ReservationExpired)).toHaveLength(2);
  });

  it('stays held if the timer fires too early', async () => {
    const orderId = randomUUIDv7();
    await inventory.query(
      `INSERT INTO reservation (order_id, lines, status, expires_at) VALUES ($1, '[]', 'held', now() + interval '1 day')`,
      [orderId],
    );
    await inventory.ask(ExpireReservation, { orderId });
    await expect(
      inventory.query('SELECT status, expires_at FROM reservation WHERE order_id = $1', [orderId]),
    ).resolves.toMatchObject([{ status: 'held' }]);
    await expect(
      inventory.query(`SELECT name FROM outbox WHERE due_at > now() AND data->>'orderId' = $1`, [orderId]),
    ).resolves.toEqual([{ name: ExpireReservation.name }]);
  });
});
