import { randomUUID } from 'node:crypto';
import type { UnitOfWork } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { Ask, Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { CopyTaken, CountCopies, CountLoans, LoanPlaced, PlaceLoan, TakeCopy } from '../contracts.js';
import { Loan } from './loan.js';

@Controller()
export class LoanMessages {
  constructor(
    private readonly dataSource: DataSource,
    private readonly ask: Ask,
  ) {}

  /** Loan, event and command are committed together. */
  @Handles(PlaceLoan)
  async place({ bookId }: Body<typeof PlaceLoan>, { tx, publish, send }: UnitOfWork) {
    const loan = { loanId: randomUUID(), bookId };
    await tx.insert(Loan, { ...loan, taken: 0 });
    publish(LoanPlaced(loan));
    send(TakeCopy(loan));
    if (bookId === 'unknown') throw PlaceLoan.reject('unknown-book', 'there is no such book');
    return loan;
  }

  @Handles(CopyTaken)
  async copyTaken({ loanId }: Body<typeof CopyTaken>, { tx }: UnitOfWork) {
    await tx.increment(Loan, { loanId }, 'taken', 1);
  }

  @Handles(CountLoans)
  async count({ bookId }: Body<typeof CountLoans>) {
    const { copies } = await this.ask(CountCopies, { bookId });
    const loans = await this.dataSource.manager.findBy(Loan, { bookId });
    return { copies, placed: loans.length, taken: loans.reduce((sum, { taken }) => sum + taken, 0) };
  }
}
