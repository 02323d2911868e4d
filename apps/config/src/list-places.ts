import { ListPlaces } from '@jogakbo/contracts-config';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { ConfigVersion, toPlace } from './config-version.ts';

@Controller()
export class ListPlacesHandler {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(ListPlaces)
  async handle() {
    const rows = await this.dataSource.manager
      .createQueryBuilder(ConfigVersion, 'one')
      .distinctOn(['one.application', 'one.profile', 'one.label'])
      .orderBy({ 'one.application': 'ASC', 'one.profile': 'ASC', 'one.label': 'ASC', 'one.version': 'DESC' })
      .getMany();
    return {
      items: rows.map((row) => ({
        ...toPlace(row),
        version: row.version,
        by: row.by,
        at: row.at.toISOString(),
      })),
    };
  }
}
