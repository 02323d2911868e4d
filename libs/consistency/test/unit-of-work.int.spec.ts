import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Input } from '@jogakbo/contract';
import { UnitsOfWork, type UnitOfWork } from '@jogakbo/consistency';
import { childTraceparent, MessageContext } from '@jogakbo/messaging';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import {
  BankModule,
  Deposit,
  DepositAbroad,
  Deposited,
  GetRate,
  IgnoreFailure,
  Pay,
  readBalance,
  Reminded,
} from './bank.ts';

const createIncoming = () => ({
  pattern: Deposit.name,
  data: undefined,
  messageId: randomUUID(),
  sender: 'teller',
  firstFailedAt: undefined,
  wasDeadLetteredElsewhere: false,
  isEdited: false,
  headers: {},
  replyTo: undefined,
  correlationId: undefined,
  packetId: undefined,
  callContext: { traceparent: childTraceparent(), language: 'nl' as const },
  idempotencyKey: undefined,
  redelivered: false,
  failures: 0,
});

describe('a unit of work', () => {
  let bankService: ServiceUnderTest;

  beforeAll(async () => {
    bankService = await ServiceUnderTest.start(BankModule, { DATABASE_POOL: '3' });
  });
  afterAll(() => bankService.stop());

  const countNotes = async (like: string) =>
    (await bankService.query<{ text: string }>('SELECT text FROM note WHERE text LIKE $1', [like])).length;

  it('commits a change, its event and its local handlers together', async () => {
    const account = randomUUID();
    await expect(bankService.ask(Deposit, { account, amount: 5 })).resolves.toEqual({ balance: 5 });
    await bankService.waitForEvent(Deposited, (event) => event.account === account && event.balance === 5);
    expect(await countNotes(`audited ${account}%`)).toBe(1);
    expect(await countNotes(`heard ${account} 5`)).toBe(1);
  });

  it('rolls back everything if a local handler fails, including single saves', async () => {
    const account = randomUUID();
    const before = await countNotes('%');
    await expect(bankService.ask(Deposit, { account, amount: 5, fail: true })).rejects.toMatchObject({
      code: 'internal',
    });
    expect(await readBalance(bankService, account)).toBeUndefined();
    expect(await countNotes('%')).toBe(before);
    expect(await bankService.query(`SELECT 1 FROM outbox WHERE subject = $1`, [account])).toEqual([]);
    await sleep(50);
    expect(bankService.getPublishedEvents(Deposited).filter((event) => event.account === account)).toEqual(
      [],
    );
  });

  it('fails if the database turns the commit into a rollback', async () => {
    const account = randomUUID();
    await expect(bankService.ask(IgnoreFailure, { account })).rejects.toMatchObject({ code: 'internal' });
    expect(await countNotes(account)).toBe(0);
  });

  it('rejects an unawaited write that runs after the transaction', async () => {
    const text = randomUUID();
    // A slow commit.
    await bankService.query(`
      CREATE FUNCTION delay_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER delay_commit AFTER INSERT ON note DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION delay_commit()`);
    let late: Promise<unknown>;
    await bankService.get(UnitsOfWork).run(async ({ tx }) => {
      await tx.query('INSERT INTO note VALUES ($1)', [text]);
      late = (async () => {
        await sleep(100);
        await tx.query('INSERT INTO note VALUES ($1)', [`${text} too late`]);
      })();
      late.catch(() => {});
    });
    await expect(late!).rejects.toThrow('is over');
    await bankService.query('DROP FUNCTION delay_commit CASCADE');
    expect(await countNotes(`${text}%`)).toBe(1);
  });

  it('applies a message once, with sequential and with concurrent duplicates', async () => {
    const account = randomUUID();
    const id = randomUUID();
    const anotherId = randomUUID();
    const message = Deposit({ account, amount: 5 });
    await bankService.send(message, id);
    await eventually(async () => (await readBalance(bankService, account)) === 5);
    await Promise.all(Array.from({ length: 30 }, () => bankService.send(message, id)));
    const another = randomUUID();
    await Promise.all(
      Array.from({ length: 30 }, () => bankService.send(Deposit({ account: another, amount: 5 }), anotherId)),
    );
    await eventually(async () => (await readBalance(bankService, another)) === 5);
    await sleep(300);
    expect([await readBalance(bankService, account), await readBalance(bankService, another)]).toEqual([
      5, 5,
    ]);
    expect(
      bankService.getPublishedEvents(Deposited).filter((event) => event.account === another),
    ).toHaveLength(1);
  });

  it('recognises a duplicate even if its first statement fails, and the handler explains that', async () => {
    const account = randomUUID();
    const message = new MessageContext(Deposit, createIncoming(), { account, amount: 1 });
    const open = ({ tx }: MessageContext & Partial<UnitOfWork>) =>
      tx!
        .query('INSERT INTO account VALUES ($1, 1)', [account])
        .then(() => ({ balance: 1 }))
        .catch(() => {
          throw new Error('the account exists');
        });
    const { middleware } = bankService.get(UnitsOfWork);
    await expect(middleware(message, open)).resolves.toEqual({ balance: 1 });
    await expect(middleware(message, open)).resolves.toEqual({ balance: 1 });
    const another = new MessageContext(Deposit, createIncoming(), { account, amount: 1 });
    await expect(middleware(another, open)).rejects.toThrow('the account exists');
  });

  it('reports the statement that failed, and not those that PostgreSQL rejects after it', async () => {
    const text = randomUUID();
    const failing = bankService.get(UnitsOfWork).run(async ({ tx, write }) => {
      await tx.query('SELECT 1');
      const divided = tx.query('SELECT 1 / 0');
      divided.catch(() => {});
      write('INSERT INTO note VALUES ($1)', [text]);
      await tx.query('SELECT 2');
    });
    await expect(failing).rejects.toThrow('division by zero');
    expect(await countNotes(text)).toBe(0);
  });

  it('refuses to publish an event later', async () => {
    const event = Reminded({ account: randomUUID() }) as never;
    const delayed = bankService.get(UnitsOfWork).run(async ({ publishLater }) => publishLater(event, 0));
    await expect(delayed).rejects.toThrow('the event bank.reminded cannot be published later');
  });

  it('recognises a repeated request by its parsed input, not by its spelling', async () => {
    const idempotencyKey = randomUUID();
    const account = '0198c9a1-0000-7000-8000-00000000abcd';
    const pay = (input: Input<typeof Pay>) => bankService.ask(Pay, input, { idempotencyKey });
    const first = await pay({ account, note: 'caf\u00e9' });
    expect(await pay({ times: 1, note: 'cafe\u0301', account: account.toUpperCase() })).toEqual(first);
    // An earlier version stored the fingerprint of the raw input.
    const rawFingerprint = createHash('sha256').update(JSON.stringify({ account, note: 'caf\u00e9' }));
    await bankService.query('UPDATE inbox SET fingerprint = $2 WHERE key LIKE $1', [
      ...[`%${idempotencyKey}`, rawFingerprint.digest('base64url')],
    ]);
    expect(await pay({ note: 'caf\u00e9', account })).toEqual(first);
    for (const input of [
      { account, note: 'cafe' },
      { account, note: 'caf\u00e9', times: 2 },
      { account: randomUUID(), note: 'caf\u00e9' },
    ])
      await expect(pay(input)).rejects.toMatchObject({ code: 'idempotency-key-reused' });
    expect(await countNotes(`paid ${first.paid}`)).toBe(1);
  });

  it('holds no connection while a handler waits for another service', async () => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const rates = await bankService.stub('rates', [[GetRate, () => gate.then(() => ({ rate: 2 }))]]);
    const account = randomUUID();
    // More handlers wait than there are connections; other work still gets a connection.
    const waiting = Array.from({ length: 12 }, (_, i) =>
      bankService.ask(
        DepositAbroad,
        { account: `${account} ${randomUUID()}` },
        i % 2 ? { idempotencyKey: randomUUID() } : {},
      ),
    );
    await eventually(() => rates.received(GetRate).length === 12);
    await expect(bankService.ask(Deposit, { account, amount: 1 }, { timeout: 1_000 })).resolves.toEqual({
      balance: 1,
    });
    release();
    await Promise.all(waiting);
    expect(await countNotes(`${account} % abroad at 2`)).toBe(12);
  });
});
