import { consistencyMigrations, type UnitOfWork } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { Handles } from '@jogakbo/messaging';
import { Service } from '@jogakbo/service';
import { Controller } from '@nestjs/common';
import { DataSource, type MigrationInterface, type QueryRunner } from 'typeorm';
import { CopyTaken, CountCopies, shelves, TakeCopy } from '../contracts.js';

class Shelves1700000010000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE taken_copy (loan_id uuid NOT NULL, book_id text NOT NULL)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE taken_copy');
  }
}

const copiesOfEachBook = 100;

@Controller()
class ShelfMessages {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(TakeCopy)
  async take({ loanId, bookId }: Body<typeof TakeCopy>, { tx, publish }: UnitOfWork) {
    await tx.query('INSERT INTO taken_copy VALUES ($1, $2)', [loanId, bookId]);
    publish(CopyTaken({ loanId, bookId }));
  }

  @Handles(CountCopies)
  async count({ bookId }: Body<typeof CountCopies>) {
    const [{ taken }] = await this.dataSource.query(
      'SELECT count(*)::int AS taken FROM taken_copy WHERE book_id = $1',
      [bookId],
    );
    return { copies: copiesOfEachBook - taken };
  }
}

@Service({
  contract: shelves,
  migrations: [...consistencyMigrations, Shelves1700000010000],
  handlers: [ShelfMessages],
})
export class ShelvesModule {}
