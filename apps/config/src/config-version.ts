import { masked } from '@jogakbo/contracts-config';
import { Column, Entity, PrimaryColumn, type EntityManager } from 'typeorm';

/** Of whom, for which profile, under which label. */
export interface Place {
  application: string;
  profile: string;
  label: string;
}

/** One setting: a secret is sealed. It remembers the version that gave it its value. */
export interface StoredSetting {
  value: string;
  secret: boolean;
  version: number;
  by: string;
  at: string;
}
export type Settings = Record<string, StoredSetting>;

/** All settings of a place, as one change left them. Never changed afterwards. */
@Entity('config_version')
export class ConfigVersion implements Place {
  @PrimaryColumn('text')
  application: string;

  @PrimaryColumn('text')
  profile: string;

  @PrimaryColumn('text')
  label: string;

  @PrimaryColumn('integer')
  version: number;

  @Column('jsonb')
  settings: Settings;

  @Column('text')
  reason: string;

  @Column('text', { name: 'changed_by' })
  by: string;

  @Column('timestamptz', { name: 'changed_at' })
  at: Date;

  /** The version that it went back to. */
  @Column('integer', { nullable: true })
  restores: number | null;
}

export const toPlace = ({ application, profile, label }: Place): Place => ({ application, profile, label });

/** The newest version of a place; undefined where nothing was ever set. */
export async function newest(manager: EntityManager, place: Place): Promise<ConfigVersion | undefined> {
  const where = toPlace(place);
  return (await manager.findOne(ConfigVersion, { where, order: { version: 'DESC' } })) ?? undefined;
}

export interface Difference {
  key: string;
  before: string | null;
  after: string | null;
}

const shown = (kept: StoredSetting | undefined): string | null =>
  kept ? (kept.secret ? masked : kept.value) : null;

/** What differs, by key; of secrets only that they differ. */
export function differences(before: Settings, after: Settings): Difference[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((key) => before[key]?.value !== after[key]?.value || before[key]?.secret !== after[key]?.secret)
    .sort()
    .map((key) => ({ key, before: shown(before[key]), after: shown(after[key]) }));
}

/** The settings as an operator may see them. */
export const listed = (settings: Settings) =>
  Object.entries(settings)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, kept]) => ({ key, ...kept, value: shown(kept)! }));
