import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUIDv7 } from 'node:crypto';
import {
  CommitStock,
  GetStock,
  ReceiveStock,
  ReserveStock,
  ReturnStock,
  StockChanged,
  StockCommitted,
  StockRefused,
  StockReserved,
  StockReturned,
} from '@jogakbo/contracts-inventory';
import { about, eventually, type ServiceUnderTest } from '@jogakbo/testing';
import { ids, Shelves } from './shelves.ts';

describe('inventory', () => {
  let shelves: Shelves;
  let inventory: ServiceUnderTest;

  beforeAll(async () => {
    shelves = await Shelves.open();
    inventory = shelves.inventory;
  });
  afterAll(() => inventory.stop());
  afterEach(async () => expect(await shelves.wrong()).toEqual([]));

  it('books what arrives and says so', async () => {
    const productId = await shelves.product(0);
    await expect(shelves.available(productId)).resolves.toBe(0);
    await expect(inventory.ask(ReceiveStock, { productId, quantity: 7 })).resolves.toEqual({
      productId,
      available: 7,
    });
    await inventory.hears(StockChanged, (event) => event.productId === productId && event.available === 7);
    await expect(shelves.available(productId)).resolves.toBe(7);
  });

  it('books a delivery once, however often the merchant asks with one key', async () => {
    const productId = await shelves.product(0);
    const receive = () =>
      inventory.ask(ReceiveStock, { productId, quantity: 7 }, { idempotencyKey: `receipt ${productId}` });
    await receive();
    await expect(receive()).resolves.toEqual({ productId, available: 7 });
    await expect(shelves.available(productId)).resolves.toBe(7);
  });

  it('knows nothing of products that were never on sale', async () => {
    const productId = randomUUIDv7();
    await expect(inventory.ask(GetStock, { productId })).rejects.toMatchObject({ code: 'not-found' });
    await expect(inventory.ask(ReceiveStock, { productId, quantity: 1 })).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('holds pieces, then sells them', async () => {
    const productId = await shelves.product(5);
    const orderId = await shelves.reserve(productId, 2);
    await expect(shelves.readPlaces(productId)).resolves.toEqual({
      onHand: 3,
      reserved: 2,
      sold: 0,
      received: 5,
    });
    const now = await inventory.hears(
      StockChanged,
      (event) => event.productId === productId && event.available === 3,
    );
    const before = await inventory.hears(
      StockChanged,
      (event) => event.productId === productId && event.available === 5,
    );
    expect(now.version).toBeGreaterThan(before.version);
    await inventory.send(CommitStock({ orderId }));
    await inventory.hears(StockCommitted, about(orderId));
    await expect(shelves.readPlaces(productId)).resolves.toEqual({
      onHand: 3,
      reserved: 0,
      sold: 2,
      received: 5,
    });
  });

  it('takes held and sold pieces back, once', async () => {
    const productId = await shelves.product(5);
    const [held, sold] = [await shelves.reserve(productId, 1), await shelves.reserve(productId, 2)];
    await inventory.send(CommitStock({ orderId: sold }));
    await inventory.hears(StockCommitted, about(sold));
    for (const orderId of [held, sold]) {
      await inventory.send(ReturnStock({ orderId }));
      await inventory.send(ReturnStock({ orderId }));
      await inventory.hears(StockReturned, about(orderId));
      // Overtaken by the return: does nothing.
      await inventory.ask(CommitStock, { orderId });
    }
    await expect(shelves.readPlaces(productId)).resolves.toEqual({
      onHand: 5,
      reserved: 0,
      sold: 0,
      received: 5,
    });
    await inventory.hears(StockChanged, (event) => event.productId === productId && event.available === 5);
    expect(inventory.heard(StockReturned).filter(about(sold))).toHaveLength(1);
  });

  it('holds all or nothing, and names the first product that lacks', async () => {
    const [plenty, scarce] = [await shelves.product(10), await shelves.product(1)];
    const orderId = randomUUIDv7();
    const lines = [
      { productId: plenty, quantity: 1 },
      { productId: scarce, quantity: 1 },
      { productId: scarce, quantity: 1 },
    ];
    await inventory.send(ReserveStock({ orderId, lines }));
    await expect(inventory.hears(StockRefused, about(orderId))).resolves.toEqual({
      orderId,
      productId: scarce,
      available: 1,
    });
    await expect(shelves.available(plenty)).resolves.toBe(10);
    const unknown = randomUUIDv7();
    await inventory.send(ReserveStock({ orderId: unknown, lines: [{ productId: unknown, quantity: 1 }] }));
    await expect(inventory.hears(StockRefused, about(unknown))).resolves.toMatchObject({ available: 0 });
  });

  it('never holds anything for an order that was returned before it was reserved', async () => {
    const productId = await shelves.product(5);
    const orderId = randomUUIDv7();
    await inventory.send(ReturnStock({ orderId }));
    await shelves.settled(orderId);
    await inventory.ask(ReserveStock, { orderId, lines: [{ productId, quantity: 2 }] });
    await inventory.ask(CommitStock, { orderId });
    await expect(shelves.readStatuses([orderId])).resolves.toEqual(['returned']);
    await expect(shelves.available(productId)).resolves.toBe(5);
  });

  it.each([
    ['a quantity of nothing', { lines: [{ productId: randomUUIDv7(), quantity: 0 }] }, 'lines.0.quantity'],
    ['half a piece', { lines: [{ productId: randomUUIDv7(), quantity: 0.5 }] }, 'lines.0.quantity'],
    ['no lines', { lines: [] }, 'lines'],
  ])('refuses %s and names the field', async (_, fields, path) => {
    await expect(inventory.ask(ReserveStock, { orderId: randomUUIDv7(), ...fields })).rejects.toMatchObject({
      code: 'invalid',
      errors: expect.arrayContaining([expect.objectContaining({ path })]),
    });
  });

  describe('asked by many at once, and by one many times', () => {
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
      await expect(shelves.readPlaces(productId)).resolves.toEqual({
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
      await eventually(async () => !(await shelves.readStatuses(orders)).includes('held'));
      for (const productId of products)
        await expect(shelves.readPlaces(productId)).resolves.toEqual({
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
      await expect(shelves.readPlaces(productId)).resolves.toEqual({
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
        async () =>
          (await shelves.readStatuses(orders)).filter((status) => status === 'returned').length === 20,
      );
      await expect(shelves.readPlaces(productId)).resolves.toEqual({
        onHand: 20,
        reserved: 0,
        sold: 0,
        received: 20,
      });
    });
  });
});
