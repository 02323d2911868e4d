import { sharedApplication } from '@jogakbo/contracts-config';
import { Injectable } from '@nestjs/common';
import { DataSource, In } from 'typeorm';
import { ConfigVersion } from './config-version.ts';

/**
 * Returns the places that an application reads, in Spring's order of precedence: later profiles first, `default` last.
 * Within a profile, the application's own settings come before the shared ones.
 */
export function getPrecedence(
  application: string,
  profiles: readonly string[],
): { application: string; profile: string }[] {
  const names = application === sharedApplication ? [sharedApplication] : [application, sharedApplication];
  const ordered = [...new Set(profiles.toReversed())].filter((profile) => profile !== 'default');
  return [...ordered, 'default'].flatMap((profile) => names.map((name) => ({ application: name, profile })));
}

@Injectable()
export class Sources {
  constructor(private readonly dataSource: DataSource) {}

  /** Finds the newest version of each place that an application reads, in order of precedence. */
  async find(application: string, profiles: readonly string[], label: string): Promise<ConfigVersion[]> {
    const places = getPrecedence(application, profiles);
    const rows = await this.dataSource.manager
      .createQueryBuilder(ConfigVersion, 'one')
      .distinctOn(['one.application', 'one.profile'])
      .where({
        label,
        application: In(places.map((place) => place.application)),
        profile: In(places.map((place) => place.profile)),
      })
      .orderBy({ 'one.application': 'ASC', 'one.profile': 'ASC', 'one.version': 'DESC' })
      .getMany();
    return places.flatMap((place) =>
      rows.filter((row) => row.application === place.application && row.profile === place.profile),
    );
  }
}
