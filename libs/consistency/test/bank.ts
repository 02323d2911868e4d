import { randomUUID } from 'node:crypto';
import { Id, lineOfText, service, type Body } from '@jogakbo/contract';
import { consistencyMigrations, type UnitOfWork } from '@jogakbo/consistency';
import { Ask, Handles } from '@jogakbo/messaging';
import { Service } from '@jogakbo/service';
import { type ServiceUnderTest } from '@jogakbo/testing';
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
export const Deposit = bank.command('deposit', { input: amount, output: z.object({ balance: z.int() }) });
export const GetRate = service('rates').query('ask', {
  input: z.strictObject({}),
  output: z.object({ rate: z.int() }),
});
export const DepositAbroad = bank.command('deposit-abroad', {
  input: z.strictObject({ account: z.string() }),
});
export const Remind = bank.command('remind', {
  input: z.strictObject({ account: z.string(), seconds: z.number() }),
});
const SendReminder = bank.command('send-reminder', { input: z.strictObject({ account: z.string() }) });
export const Reminded = bank.event('reminded', z.object({ account: z.string() }), { subject: 'account' });
const Audit = bank.command('audit', {
  input: z.strictObject({ account: z.string(), fail: z.boolean().optional() }),
});
export const Deposited = bank.event('deposited', z.object({ account: z.string(), balance: z.int() }), {
  subject: 'account',
});
export const IgnoreFailure = bank.command('ignore-failure', {
  input: z.strictObject({ account: z.string() }),
});
export const Pay = bank.command('pay', {
  input: z.strictObject({
    account: Id,
    note: lineOfText(20).default('none'),
    times: z.int().default(1),
  }),
  output: z.object({ paid: z.string() }),
  idempotency: 'required',
});
export const Print = service('printer').command('print', { input: z.strictObject({ page: z.int() }) });
export const PrintLater = bank.command('print-later', { input: z.strictObject({ page: z.int() }) });

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
    publishLater(SendReminder({ account }), seconds * 1_000);
  }

  @Handles(SendReminder)
  async sendReminder({ account }: Body<typeof SendReminder>, { publish }: UnitOfWork) {
    publish(Reminded({ account }));
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
export class BankModule {}

/** The balance of an account, undefined for one without deposits. */
export async function readBalance(
  bankService: ServiceUnderTest,
  account: string,
): Promise<number | undefined> {
  const sql = 'SELECT balance FROM account WHERE account = $1';
  return (await bankService.query<{ balance: number }>(sql, [account]))[0]?.balance;
}
