import { toPage, type Body } from '@jogakbo/contract';
import { ListVersions } from '@jogakbo/contracts-config';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource, LessThanOrEqual } from 'typeorm';
import { compareSettings, ConfigVersion, toPlace } from './config-version.ts';

@Controller()
export class ListVersionsHandler {
  constructor(private readonly dataSource: DataSource) {}

  /** The cursor is the last version of the previous page. Each version is compared with its predecessor. */
  @Handles(ListVersions)
  async handle({ limit, cursor, ...place }: Body<typeof ListVersions>) {
    if (cursor && !/^[1-9]\d{0,8}$/.test(cursor)) throw ListVersions.reject('unknown-cursor');
    const rows = await this.dataSource.manager.find(ConfigVersion, {
      where: { ...toPlace(place), ...(cursor && { version: LessThanOrEqual(Number(cursor) - 1) }) },
      order: { version: 'DESC' },
      take: limit + 1,
    });
    const page = toPage(rows, limit, ({ version }) => String(version));
    return {
      items: page.items.map(({ version, by, at, reason, restores, settings }, index) => ({
        version,
        by,
        at: at.toISOString(),
        reason,
        restores,
        changes: compareSettings(rows[index + 1]?.settings ?? {}, settings),
      })),
      nextCursor: page.nextCursor,
    };
  }
}
