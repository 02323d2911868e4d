import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUIDv7 } from 'node:crypto';
import {
  CommitStock,
  ReserveStock,
  ReturnStock,
  StockCommitted,
  StockRefused,
  StockReserved,
} from '@jogakbo/contracts-inventory';
import { eventually, type ServiceUnderTest } from '@jogakbo/testing';
import { about, ids, Shelves } from './shelves.ts';

describe('inventory, asked by many at once and by one many times', () => {
  let shelves: Shelves;
  let inventory: ServiceUnderTest;

  beforeAll(async () => {
    shelves = await Shelves.open();
    inventory = shelves.inventory;
  });
  afterAll(() => inventory.stop());
  afterEach(async () => expect(await shelves.wrong()).toEqual([]));

  it('gives nine pieces to nine of ten who want one at once', async () => {
    const productId = await shelves.product(9);
    const buyers = ids(10);
    const lines = [{ productId, quantity: 1 }];
    await Promise.all(buyers.map((orderId) => inventory.send(ReserveStock({ orderId, lines }))));
    const answers = (event: typeof StockReserved | typeof StockRefused) =>
      inventory.heard(event).filter(({ orderId }) => buyers.includes(orderId));
    await eventually(() => answers(StockReserved).length + answers(StockRefused).length === 10);
    expect(answers(StockReserved)).toHaveLength(9);
    expect(answers(StockRefused)).toEqual([expect.objectContaining({ productId, available: 0 })]);
    await expect(shelves.placesOf(productId)).resolves.toEqual({
      onHand: 0,
      reserved: 9,
      sold: 0,
      received: 9,
    });
  });

  it('does not deadlock over orders that name the same products in opposite orders', async () => {
    const before = await shelves.faults();
    const products = await Promise.all([shelves.product(200), shelves.product(200), shelves.product(200)]);
    const lines = products.map((productId) => ({ productId, quantity: 1 }));
    const orders = ids(50);
    await Promise.all(
      orders.map((orderId, i) =>
        inventory.send(ReserveStock({ orderId, lines: i % 2 ? lines : lines.toReversed() })),
      ),
    );
    await eventually(
      () => inventory.heard(StockReserved).filter(({ orderId }) => orders.includes(orderId)).length === 50,
    );
    await Promise.all(
      orders.map((orderId, i) => inventory.send((i % 2 ? CommitStock : ReturnStock)({ orderId }))),
    );
    await eventually(async () => !(await shelves.statusesOf(orders)).includes('held'));
    for (const productId of products)
      await expect(shelves.placesOf(productId)).resolves.toEqual({
        onHand: 175,
        reserved: 0,
        sold: 25,
        received: 200,
      });
    // A deadlock would be a fault that the next attempt hides.
    expect(await shelves.faults()).toEqual(before);
  });

  it('does once what it is told several times, by the same message or by another', async () => {
    const productId = await shelves.product(5);
    const orderId = randomUUIDv7();
    const message = ReserveStock({ orderId, lines: [{ productId, quantity: 2 }] });
    const messageId = randomUUIDv7();
    await Promise.all([1, 2, 3].map(() => inventory.send(message, messageId)));
    await inventory.send(message);
    await shelves.settled(orderId);
    const commitId = randomUUIDv7();
    await Promise.all([1, 2, 3].map(() => inventory.send(CommitStock({ orderId }), commitId)));
    await inventory.send(CommitStock({ orderId }));
    await shelves.settled(orderId);
    await expect(shelves.placesOf(productId)).resolves.toEqual({
      onHand: 3,
      reserved: 0,
      sold: 2,
      received: 5,
    });
    await inventory.hears(StockCommitted, about(orderId));
    expect(inventory.heard(StockReserved).filter(about(orderId))).toHaveLength(1);
    expect(inventory.heard(StockCommitted).filter(about(orderId))).toHaveLength(1);
  });

  it('survives a return that races its reservation', async () => {
    const productId = await shelves.product(20);
    const orders = ids(20);
    const lines = [{ productId, quantity: 1 }];
    await Promise.all(
      orders.flatMap((orderId) => [
        inventory.send(ReserveStock({ orderId, lines })),
        inventory.send(ReturnStock({ orderId })),
      ]),
    );
    await eventually(
      async () => (await shelves.statusesOf(orders)).filter((status) => status === 'returned').length === 20,
    );
    await expect(shelves.placesOf(productId)).resolves.toEqual({
      onHand: 20,
      reserved: 0,
      sold: 0,
      received: 20,
    });
  });
});
