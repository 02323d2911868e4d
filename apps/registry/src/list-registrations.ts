import { ListRegistrations } from '@jogakbo/contracts-registry';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { credentialColumns, toRegistration, type Credential } from './credentials.ts';

@Controller()
export class ListRegistrationsHandler {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(ListRegistrations)
  async handle() {
    const rows = (await this.dataSource.query(
      `SELECT ${credentialColumns} FROM registration ORDER BY app`,
    )) as Credential[];
    return { items: rows.map(toRegistration) };
  }
}
