import type { Body } from '@jogakbo/contract';
import { GetSettings } from '@jogakbo/contracts-config';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { findNewestVersion, toListItems } from './config-version.ts';

@Controller()
export class GetSettingsHandler {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(GetSettings)
  async handle(place: Body<typeof GetSettings>) {
    const found = await findNewestVersion(this.dataSource.manager, place);
    return { version: found?.version ?? 0, items: toListItems(found?.settings ?? {}) };
  }
}
