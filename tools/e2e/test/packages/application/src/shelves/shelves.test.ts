import 'reflect-metadata';
import { deepEqual } from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { CopyTaken, CountCopies, TakeCopy } from '../contracts.js';
import { ShelvesModule } from './shelves.module.js';

test('a command that arrives twice takes one copy', async () => {
  const service = await ServiceUnderTest.start(ShelvesModule);
  try {
    const loan = { bookId: 'b-1', loanId: randomUUID() };
    const messageId = randomUUID();
    await service.send(TakeCopy(loan), messageId);
    deepEqual(await service.waitForEvent(CopyTaken), loan);
    await service.send(TakeCopy(loan), messageId);
    const later = { bookId: 'b-2', loanId: randomUUID() };
    await service.send(TakeCopy(later));
    await eventually(() => service.getPublishedEvents(CopyTaken).length === 2);
    deepEqual(await service.ask(CountCopies, { bookId: 'b-1' }), { copies: 99 });
  } finally {
    await service.stop();
  }
});
