import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Id, lineOfText, service, type Body, type Input } from '@jogakbo/contract';
import { consistencyMigrations, UnitsOfWork, type UnitOfWork } from '@jogakbo/consistency';
import {
  Ask,
  childTraceparent,
  currentCall,
  Handles,
  MessageContext,
  type CallContext,
} from '@jogakbo/messaging';
import { Service } from '@jogakbo/service';
import { eventually, shiftSystemTime, ServiceUnderTest } from '@jogakbo/testing';
import { Controller } from '@nestjs/common';
import {
  Column,
  DataSource,
  Entity,
  PrimaryColumn,
  type MigrationInterface,
  type QueryRunner,
} from 'typeorm';
import { z } from 'zod';

const bank = service('bank');
const amount = z.strictObject({ account: z.string(), amount: z.int(), fail: z.boolean().optional() });
const Deposit = bank.command('deposit', { input: amount, output: z.object({ balance: z.int() }) });
const GetRate = service('rates').query('ask', {
  input: z.strictObject({}),
  output: z.object({ rate: z.int() }),
});
const DepositAbroad = bank.command('deposit-abroad', { input: z.strictObject({ account: z.string() }) });
const Remind = bank.command('remind', {
  input: z.strictObject({ account: z.string(), seconds: z.number() }),
});
const Reminded = bank.event('reminded', z.object({ account: z.string() }), { subject: 'account' });
const Audit = bank.command('audit', {
  input: z.strictObject({ account: z.string(), fail: z.boolean().optional() }),
});
const Deposited = bank.event('deposited', z.object({ account: z.string(), balance: z.int() }), {
  subject: 'account',
});
const IgnoreFailure = bank.command('ignore-failure', { input: z.strictObject({ account: z.string() }) });
const Pay = bank.command('pay', {
  input: z.strictObject({
    account: Id,
    note: lineOfText(20).default('none'),
    times: z.int().default(1),
  }),
  output: z.object({ paid: z.string() }),
  idempotency: 'required',
});
const Print = service('printer').command('print', { input: z.strictObject({ page: z.int() }) });
const PrintLater = bank.command('print-later', { input: z.strictObject({ page: z.int() }) });

@Entity('account')
class Account {
  @PrimaryColumn('text') account: string;
  @Column('integer') balance: number;
}

@Entity('note')
class Note {
  @PrimaryColumn('text') text: string;
}

class Tables1700000001000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      'CREATE TABLE account (account text PRIMARY KEY, balance integer NOT NULL); CREATE TABLE note (text text PRIMARY KEY)',
    );
  }
  async down(): Promise<void> {}
}

@Controller()
class BankHandler {
  constructor(
    private readonly ask: Ask,
    private readonly dataSource: DataSource,
  ) {}

  @Handles(Deposit)
  async deposit({ account, amount, fail }: Body<typeof Deposit>, { tx, publish, send }: UnitOfWork) {
    const [{ balance }] = (await tx.query(
      `INSERT INTO account AS a VALUES ($1, $2) ON CONFLICT (account) DO UPDATE SET balance = a.balance + $2 RETURNING balance`,
      [account, amount],
    )) as [{ balance: number }];
    await tx.save(Note, { text: randomUUID() });
    publish(Deposited({ account, balance }));
    send(Audit({ account, ...(fail !== undefined && { fail }) }));
    return { balance };
  }

  /** A command of the service to itself: handled in the same transaction. */
  @Handles(Audit)
  async audit({ account, fail }: Body<typeof Audit>, { tx }: UnitOfWork) {
    await tx.save(Note, { text: `audited ${account} ${randomUUID()}` });
    if (fail) throw new Error('the audit failed');
  }

  /** An event of the service itself: handled in the same transaction. */
  @Handles(Deposited)
  async recordDeposit({ account, balance }: Body<typeof Deposited>, { tx }: UnitOfWork) {
    await tx.save(Note, { text: `heard ${account} ${balance}` });
  }

  @Handles(DepositAbroad)
  async abroad({ account }: Body<typeof DepositAbroad>, { tx }: UnitOfWork) {
    const { rate } = await this.ask(GetRate, {});
    await this.dataSource.query('SELECT 1');
    await tx.query('INSERT INTO note VALUES ($1)', [`${account} abroad at ${rate}`]);
  }

  @Handles(Remind)
  async remind({ account, seconds }: Body<typeof Remind>, { publishLater }: UnitOfWork) {
    publishLater(Reminded({ account }), seconds * 1_000);
  }

  /** Ignores a failed statement. */
  @Handles(IgnoreFailure)
  async ignoreFailure({ account }: Body<typeof IgnoreFailure>, { tx }: UnitOfWork) {
    await tx.query('INSERT INTO note VALUES ($1)', [account]);
    await tx.query('SELECT 1 / 0').catch(() => {});
  }

  @Handles(Pay)
  async pay(_: Body<typeof Pay>, { tx }: UnitOfWork) {
    const paid = randomUUID();
    await tx.query('INSERT INTO note VALUES ($1)', [`paid ${paid}`]);
    return { paid };
  }

  @Handles(PrintLater)
  async print({ page }: Body<typeof PrintLater>, { send }: UnitOfWork) {
    send(Print({ page }));
  }
}

@Service({
  contract: bank,
  calls: [GetRate, Print],
  migrations: [...consistencyMigrations, Tables1700000001000],
  entities: [Account, Note],
  handlers: [BankHandler],
})
class BankModule {}

const createIncoming = () => ({
  pattern: Deposit.name,
  data: undefined,
  messageId: randomUUID(),
  sender: 'teller',
  firstFailedAt: undefined,
  isUntrustedCopy: false,
  isEdited: false,
  headers: {},
  replyTo: undefined,
  correlationId: undefined,
  packetId: undefined,
  context: { traceparent: childTraceparent(), language: 'nl' as const },
  idempotencyKey: undefined,
  redelivered: false,
  failures: 0,
});

describe('consistency', () => {
  let bankService: ServiceUnderTest;

  beforeAll(async () => {
    bankService = await ServiceUnderTest.start(BankModule, { DATABASE_POOL: '3' });
  });
  afterAll(() => bankService.stop());

  const readBalance = async (account: string) =>
    (
      await bankService.query<{ balance: number }>('SELECT balance FROM account WHERE account = $1', [
        account,
      ])
    )[0]?.balance;
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
    expect(await readBalance(account)).toBeUndefined();
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
    await eventually(async () => (await readBalance(account)) === 5);
    await Promise.all(Array.from({ length: 30 }, () => bankService.send(message, id)));
    const another = randomUUID();
    await Promise.all(
      Array.from({ length: 30 }, () => bankService.send(Deposit({ account: another, amount: 5 }), anotherId)),
    );
    await eventually(async () => (await readBalance(another)) === 5);
    await sleep(300);
    expect([await readBalance(account), await readBalance(another)]).toEqual([5, 5]);
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

  it('publishes a message once that became due while the service was stopped', async () => {
    const account = randomUUID();
    await bankService.ask(Remind, { account, seconds: 60 });
    await bankService.restart();
    expect(bankService.getPublishedEvents(Reminded)).toEqual([]);
    await bankService.query('UPDATE outbox SET due_at = now() WHERE subject = $1', [account]);
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
      const balances = await Promise.all(accounts.map(readBalance));
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
