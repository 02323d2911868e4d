import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { currentCall, type CallContext } from '@jogakbo/messaging';
import { eventually, shiftSystemTime, ServiceUnderTest } from '@jogakbo/testing';
import { DataSource } from 'typeorm';
import { BankModule, Deposit, Deposited, Print, PrintLater, readBalance, Remind, Reminded } from './bank.ts';

describe('the outbox', () => {
  let bankService: ServiceUnderTest;

  beforeAll(async () => {
    bankService = await ServiceUnderTest.start(BankModule, { DATABASE_POOL: '3' });
  });
  afterAll(() => bankService.stop());

  it('publishes a message once that became due while the service was stopped', async () => {
    const account = randomUUID();
    await bankService.ask(Remind, { account, seconds: 60 });
    await bankService.restart();
    expect(bankService.getPublishedEvents(Reminded)).toEqual([]);
    await bankService.query(`UPDATE outbox SET due_at = now() WHERE data->>'account' = $1`, [account]);
    await bankService.waitForEvent(Reminded, (event) => event.account === account);
    await sleep(700);
    expect(bankService.getPublishedEvents(Reminded)).toHaveLength(1);
  });

  it.each([3_600_000, -3_600_000])(
    'fires a timer by the clock of the database, with a system clock that is %i ms off',
    async (by) => {
      const account = randomUUID();
      const isReminded = () =>
        bankService.getPublishedEvents(Reminded).some((event) => event.account === account);
      shiftSystemTime(by);
      try {
        await bankService.ask(Remind, { account, seconds: 2 });
        await sleep(1_000);
        expect(isReminded()).toBe(false);
      } finally {
        shiftSystemTime(0);
      }
      await eventually(isReminded, 4_000);
    },
  );

  it('keeps a command until a queue is bound, with its trace and its split key', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const trace = { traceparent: `00-${traceId}-00f067aa0ba902b7-02`, tracestate: 'rojo=1,congo=2' };
    await bankService.send(PrintLater({ page: 1 }), undefined, { ...trace, language: 'nl', splitKey: 4_711 });
    await eventually(
      async () => (await bankService.query('SELECT 1 FROM outbox WHERE published_at IS NULL')).length === 1,
    );
    const calls: (CallContext | undefined)[] = [];
    await bankService.stub('printer', [[Print, () => void calls.push(currentCall())]]);
    await eventually(() => calls.length === 1);
    expect(calls[0]).toMatchObject({
      traceparent: expect.stringMatching(new RegExp(`^00-${traceId}-[0-9a-f]{16}-02$`)),
      tracestate: 'rojo=1,congo=2',
      splitKey: 4_711,
    });
    await eventually(
      async () => (await bankService.query('SELECT 1 FROM outbox WHERE published_at IS NULL')).length === 0,
    );
  });

  it('publishes in order per subject and skips nothing, with two instances', async () => {
    const other = await bankService.startAnother();
    const accounts: string[] = Array.from({ length: 8 }, () => randomUUID());
    const each = 60;
    const work = Array.from({ length: each }, () => accounts).flat();
    await Promise.all(work.map((account) => bankService.send(Deposit({ account, amount: 1 }))));
    await eventually(async () => {
      const balances = await Promise.all(accounts.map((account) => readBalance(bankService, account)));
      return balances.every((balance) => balance === each);
    }, 20_000);
    await other.stop();
    await eventually(
      () =>
        bankService.getPublishedEvents(Deposited).filter(({ account }) => accounts.includes(account))
          .length >= work.length,
      20_000,
    );
    for (const account of accounts) {
      const seen = bankService.getPublishedEvents(Deposited).filter((event) => event.account === account);
      expect(seen.map(({ balance }) => balance)).toEqual(Array.from({ length: each }, (_, i) => i + 1));
    }
  });

  it('skips no message with a late commit', async () => {
    const account = randomUUID();
    const source = bankService.get(DataSource);
    const late = source.createQueryRunner();
    await late.startTransaction();
    const write = (balance: number) =>
      `INSERT INTO outbox (message_id, kind, name, subject, data, headers)
       VALUES (gen_random_uuid(), 'event', 'bank.deposited', '${account}', '{"account":"${account}","balance":${balance}}', '{}')`;
    await late.query(write(1)); // takes the lower id
    await source.query(write(2)); // is committed first
    await bankService.waitForEvent(Deposited, (event) => event.account === account && event.balance === 2);
    await late.commitTransaction();
    await late.release();
    await bankService.waitForEvent(Deposited, (event) => event.account === account && event.balance === 1);
  });
});
