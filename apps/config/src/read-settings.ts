import { platformRejection, toPage, type Body } from '@jogakbo/contract';
import {
  CompareVersions,
  GetSettings,
  ListPlaces,
  ListVersions,
  ReadSettings,
} from '@jogakbo/contracts-config';
import { Handles, KnownGrants, MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource, LessThanOrEqual } from 'typeorm';
import {
  ConfigVersion,
  compareSettings,
  findNewestVersion,
  toListItems,
  toPlace,
  type Place,
  type Settings,
} from './config-version.ts';
import { Sources } from './sources.ts';
import { SecretEncryption } from './secret-encryption.ts';

@Controller()
export class ReadSettingsHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly sources: Sources,
    private readonly encryption: SecretEncryption,
    private readonly grants: KnownGrants,
  ) {}

  /** Returns the settings of the calling service. If services share one login, others can read them but not decrypt secrets. */
  @Handles(ReadSettings)
  async read({ application, profiles, label }: Body<typeof ReadSettings>, { incoming }: MessageContext) {
    if (this.grants.enforced && incoming.sender !== application)
      throw platformRejection('forbidden', 'a service may read its own settings only');
    if (!this.encryption.hasClient(application)) {
      throw ReadSettings.reject('unknown-client', `${application} has no config password`);
    }
    const found = await this.sources.find(application, profiles, label);
    return {
      sources: found.map((source) => ({
        ...toPlace(source),
        settings: Object.entries(source.settings).map(([key, { value, secret, version, by }]) => ({
          key,
          secret,
          version,
          by,
          value: secret ? this.encryption.encryptFor(application, toPlace(source), key, value) : value,
        })),
      })),
    };
  }

  @Handles(ListPlaces)
  async listPlaces() {
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

  @Handles(GetSettings)
  async get(place: Body<typeof GetSettings>) {
    const found = await findNewestVersion(this.dataSource.manager, place);
    return { version: found?.version ?? 0, items: toListItems(found?.settings ?? {}) };
  }

  /** The cursor is the last version of the previous page. Each version is compared with its predecessor. */
  @Handles(ListVersions)
  async listVersions({ limit, cursor, ...place }: Body<typeof ListVersions>) {
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

  @Handles(CompareVersions)
  async compare({ from, to, ...place }: Body<typeof CompareVersions>) {
    const [before, after] = await Promise.all([this.#getSettings(place, from), this.#getSettings(place, to)]);
    return { changes: compareSettings(before, after) };
  }

  async #getSettings(place: Place, version: number): Promise<Settings> {
    if (version === 0) return {};
    const found = await this.dataSource.manager.findOneBy(ConfigVersion, { ...toPlace(place), version });
    if (!found) throw platformRejection('not-found', `there is no version ${version}`);
    return found.settings;
  }
}
