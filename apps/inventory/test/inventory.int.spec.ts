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
import { isAbout, eventually, type ServiceUnderTest } from '@jogakbo/testing';
import { ids, InventoryFixture } from './shelves.ts';

describe('inventory', () => {
  let fixture: InventoryFixture;
  let inventory: ServiceUnderTest;

  beforeAll(async () => {
    fixture = await InventoryFixture.start();
    inventory = fixture.inventory;
  });
  afterAll(() => inventory.stop());
  afterEach(async () => expect(await fixture.findInconsistencies()).toEqual([]));

  it('adds received pieces and publishes the new number', async () => {
    const productId = await fixture.addProduct(0);
    await expect(fixture.readAvailable(productId)).resolves.toBe(0);
    await expect(inventory.ask(ReceiveStock, { productId, quantity: 7 })).resolves.toEqual({
      productId,
      available: 7,
    });
    await inventory.waitForEvent(
      StockChanged,
      (event) => event.productId === productId && event.available === 7,
    );
    await expect(fixture.readAvailable(productId)).resolves.toBe(7);
  });

  it('adds a delivery once for repeated requests with one key', async () => {
    const productId = await fixture.addProduct(0);
    const receive = () =>
      inventory.ask(ReceiveStock, { productId, quantity: 7 }, { idempotencyKey: `receipt ${productId}` });
    await receive();
    await expect(receive()).resolves.toEqual({ productId, available: 7 });
    await expect(fixture.readAvailable(productId)).resolves.toBe(7);
  });

  it('returns 404 for unknown products', async () => {
    const productId = randomUUIDv7();
    await expect(inventory.ask(GetStock, { productId })).rejects.toMatchObject({ code: 'not-found' });
    await expect(inventory.ask(ReceiveStock, { productId, quantity: 1 })).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('reserves pieces, then sells them', async () => {
    const productId = await fixture.addProduct(5);
    const orderId = await fixture.reserve(productId, 2);
    await expect(fixture.readPlaces(productId)).resolves.toEqual({
      onHand: 3,
      reserved: 2,
      sold: 0,
      received: 5,
    });
    const now = await inventory.waitForEvent(
      StockChanged,
      (event) => event.productId === productId && event.available === 3,
    );
    const before = await inventory.waitForEvent(
      StockChanged,
      (event) => event.productId === productId && event.available === 5,
    );
    expect(now.version).toBeGreaterThan(before.version);
    await inventory.send(CommitStock({ orderId }));
    await inventory.waitForEvent(StockCommitted, isAbout('orderId', orderId));
    await expect(fixture.readPlaces(productId)).resolves.toEqual({
      onHand: 3,
      reserved: 0,
      sold: 2,
      received: 5,
    });
  });

  it('takes reserved and sold pieces back once', async () => {
    const productId = await fixture.addProduct(5);
    const [held, sold] = [await fixture.reserve(productId, 1), await fixture.reserve(productId, 2)];
    await inventory.send(CommitStock({ orderId: sold }));
    await inventory.waitForEvent(StockCommitted, isAbout('orderId', sold));
    for (const orderId of [held, sold]) {
      await inventory.send(ReturnStock({ orderId }));
      await inventory.send(ReturnStock({ orderId }));
      await inventory.waitForEvent(StockReturned, isAbout('orderId', orderId));
      // A commit after the return does nothing.
      await inventory.ask(CommitStock, { orderId });
    }
    await expect(fixture.readPlaces(productId)).resolves.toEqual({
      onHand: 5,
      reserved: 0,
      sold: 0,
      received: 5,
    });
    await inventory.waitForEvent(
      StockChanged,
      (event) => event.productId === productId && event.available === 5,
    );
    expect(inventory.getPublishedEvents(StockReturned).filter(isAbout('orderId', sold))).toHaveLength(1);
  });

  it('reserves all lines or none, and names the first product with too few pieces', async () => {
    const [plenty, scarce] = [await fixture.addProduct(10), await fixture.addProduct(1)];
    const orderId = randomUUIDv7();
    const lines = [
      { productId: plenty, quantity: 1 },
      { productId: scarce, quantity: 1 },
      { productId: scarce, quantity: 1 },
    ];
    await inventory.send(ReserveStock({ orderId, lines }));
    await expect(inventory.waitForEvent(StockRefused, isAbout('orderId', orderId))).resolves.toEqual({
      orderId,
      productId: scarce,
      available: 1,
    });
    await expect(fixture.readAvailable(plenty)).resolves.toBe(10);
    const unknown = randomUUIDv7();
    await inventory.send(ReserveStock({ orderId: unknown, lines: [{ productId: unknown, quantity: 1 }] }));
    await expect(inventory.waitForEvent(StockRefused, isAbout('orderId', unknown))).resolves.toMatchObject({
      available: 0,
    });
  });

  it('reserves nothing for an order that was returned first', async () => {
    const productId = await fixture.addProduct(5);
    const orderId = randomUUIDv7();
    await inventory.send(ReturnStock({ orderId }));
    await fixture.waitUntilHandled(orderId);
    await inventory.ask(ReserveStock, { orderId, lines: [{ productId, quantity: 2 }] });
    await inventory.ask(CommitStock, { orderId });
    await expect(fixture.readStatuses([orderId])).resolves.toEqual(['returned']);
    await expect(fixture.readAvailable(productId)).resolves.toBe(5);
  });

  it.each([
    ['a quantity of 0', { lines: [{ productId: randomUUIDv7(), quantity: 0 }] }, 'lines.0.quantity'],
    ['half a piece', { lines: [{ productId: randomUUIDv7(), quantity: 0.5 }] }, 'lines.0.quantity'],
    ['no lines', { lines: [] }, 'lines'],
  ])('rejects %s and names the field', async (_, fields, path) => {
    await expect(inventory.ask(ReserveStock, { orderId: randomUUIDv7(), ...fields })).rejects.toMatchObject({
      code: 'invalid',
      errors: expect.arrayContaining([expect.objectContaining({ path })]),
    });
  });

  describe('with concurrent and repeated messages', () => {
    it('gives nine pieces to nine of ten concurrent orders', async () => {
      const productId = await fixture.addProduct(9);
      const buyers = ids(10);
      const lines = [{ productId, quantity: 1 }];
      await Promise.all(buyers.map((orderId) => inventory.send(ReserveStock({ orderId, lines }))));
      const answers = (event: typeof StockReserved | typeof StockRefused) =>
        inventory.getPublishedEvents(event).filter(({ orderId }) => buyers.includes(orderId));
      await eventually(() => answers(StockReserved).length + answers(StockRefused).length === 10);
      expect(answers(StockReserved)).toHaveLength(9);
      expect(answers(StockRefused)).toEqual([expect.objectContaining({ productId, available: 0 })]);
      await expect(fixture.readPlaces(productId)).resolves.toEqual({
        onHand: 0,
        reserved: 9,
        sold: 0,
        received: 9,
      });
    });

    it('does not deadlock on orders with the same products in opposite order', async () => {
      const before = await fixture.readFaults();
      const products = await Promise.all([
        fixture.addProduct(200),
        fixture.addProduct(200),
        fixture.addProduct(200),
      ]);
      const lines = products.map((productId) => ({ productId, quantity: 1 }));
      const orders = ids(50);
      await Promise.all(
        orders.map((orderId, i) =>
          inventory.send(ReserveStock({ orderId, lines: i % 2 ? lines : lines.toReversed() })),
        ),
      );
      await eventually(
        () =>
          inventory.getPublishedEvents(StockReserved).filter(({ orderId }) => orders.includes(orderId))
            .length === 50,
      );
      await Promise.all(
        orders.map((orderId, i) => inventory.send((i % 2 ? CommitStock : ReturnStock)({ orderId }))),
      );
      await eventually(async () => !(await fixture.readStatuses(orders)).includes('held'));
      for (const productId of products)
        await expect(fixture.readPlaces(productId)).resolves.toEqual({
          onHand: 175,
          reserved: 0,
          sold: 25,
          received: 200,
        });
      // A deadlock is a fault that the retry hides.
      expect(await fixture.readFaults()).toEqual(before);
    });

    it('handles repeated and equal messages once', async () => {
      const productId = await fixture.addProduct(5);
      const orderId = randomUUIDv7();
      const message = ReserveStock({ orderId, lines: [{ productId, quantity: 2 }] });
      const messageId = randomUUIDv7();
      await Promise.all([1, 2, 3].map(() => inventory.send(message, messageId)));
      await inventory.send(message);
      await fixture.waitUntilHandled(orderId);
      const commitId = randomUUIDv7();
      await Promise.all([1, 2, 3].map(() => inventory.send(CommitStock({ orderId }), commitId)));
      await inventory.send(CommitStock({ orderId }));
      await fixture.waitUntilHandled(orderId);
      await expect(fixture.readPlaces(productId)).resolves.toEqual({
        onHand: 3,
        reserved: 0,
        sold: 2,
        received: 5,
      });
      await inventory.waitForEvent(StockCommitted, isAbout('orderId', orderId));
      expect(inventory.getPublishedEvents(StockReserved).filter(isAbout('orderId', orderId))).toHaveLength(1);
      expect(inventory.getPublishedEvents(StockCommitted).filter(isAbout('orderId', orderId))).toHaveLength(
        1,
      );
    });

    it('handles a return concurrent with its reservation', async () => {
      const productId = await fixture.addProduct(20);
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
          (await fixture.readStatuses(orders)).filter((status) => status === 'returned').length === 20,
      );
      await expect(fixture.readPlaces(productId)).resolves.toEqual({
        onHand: 20,
        reserved: 0,
        sold: 0,
        received: 20,
      });
    });
  });
});
