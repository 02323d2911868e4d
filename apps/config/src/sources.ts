import { shared } from '@jogakbo/contracts-config';
import { Injectable } from '@nestjs/common';
import { DataSource, In } from 'typeorm';
import { ConfigVersion } from './config-version.ts';

/**
 * The places that an application reads, in Spring's order of precedence: a profile goes before the default, of two
 * profiles the later one goes first, and within a profile the application's own goes before what all share.
 */
export function precedence(
  application: string,
  profiles: readonly string[],
): { application: string; profile: string }[] {
  const names = application === shared ? [shared] : [application, shared];
  const ordered = [...new Set(profiles.toReversed())].filter((profile) => profile !== 'default');
  return [...ordered, 'default'].flatMap((profile) => names.map((name) => ({ application: name, profile })));
}

@Injectable()
export class Sources {
  constructor(private readonly dataSource: DataSource) {}

  /** The newest version of each place that an application reads, in the order of precedence. */
  async of(application: string, profiles: readonly string[], label: string): Promise<ConfigVersion[]> {
    const places = precedence(application, profiles);
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
