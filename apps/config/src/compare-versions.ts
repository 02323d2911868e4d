import { platformRejection, type Body } from '@jogakbo/contract';
import { CompareVersions } from '@jogakbo/contracts-config';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { compareSettings, ConfigVersion, toPlace, type Place, type Settings } from './config-version.ts';

@Controller()
export class CompareVersionsHandler {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(CompareVersions)
  async handle({ from, to, ...place }: Body<typeof CompareVersions>) {
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
