import { Ask } from '@jogakbo/messaging';
import { Controller, Get, Param } from '@nestjs/common';
import { CountLoans } from '../contracts.js';

@Controller('loans')
export class LoansController {
  constructor(private readonly ask: Ask) {}

  @Get(':bookId')
  count(@Param('bookId') bookId: string) {
    return this.ask(CountLoans, { bookId });
  }
}
