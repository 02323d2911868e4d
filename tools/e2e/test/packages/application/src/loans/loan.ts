import { Column, Entity, PrimaryColumn, type MigrationInterface, type QueryRunner } from 'typeorm';

@Entity('loan')
export class Loan {
  @PrimaryColumn('uuid', { name: 'loan_id' })
  loanId!: string;

  @Column('text', { name: 'book_id' })
  bookId!: string;

  @Column('int', { name: 'taken' })
  taken!: number;
}

export class Loans1700000010000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      'CREATE TABLE loan (loan_id uuid PRIMARY KEY, book_id text NOT NULL, taken int NOT NULL)',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE loan');
  }
}
