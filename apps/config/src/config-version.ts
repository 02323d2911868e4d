import { secretMask, SettingsChanged } from '@jogakbo/contracts-config';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Column, Entity, PrimaryColumn, type EntityManager } from 'typeorm';

/** Identifies a set of settings. */
export interface Place {
  application: string;
  profile: string;
  label: string;
}

/** One setting, encrypted if secret. `version`, `by` and `at` belong to the change that set the value. */
export interface StoredSetting {
  value: string;
  secret: boolean;
  version: number;
  by: string;
  at: string;
}
export type Settings = Record<string, StoredSetting>;

/** All settings of a place after one change. Immutable. */
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

  /** The version that a roll back restored. */
  @Column('integer', { nullable: true })
  restores: number | null;
}

export const toPlace = ({ application, profile, label }: Place): Place => ({ application, profile, label });

/** Finds the newest version of a place. Undefined if the place has no versions. */
export async function findNewestVersion(
  manager: EntityManager,
  place: Place,
): Promise<ConfigVersion | undefined> {
  const where = toPlace(place);
  return (await manager.findOne(ConfigVersion, { where, order: { version: 'DESC' } })) ?? undefined;
}

/** Locks a place until the end of the transaction, and returns its newest version. */
export async function lockNewestVersion(
  { tx }: UnitOfWork,
  place: Place,
): Promise<ConfigVersion | undefined> {
  const name = `config ${place.application}/${place.profile}/${place.label}`;
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [name]);
  return findNewestVersion(tx, place);
}

/** Stores a new version of a place and publishes it. */
export async function addVersion(
  { tx, publish }: UnitOfWork,
  place: Place,
  settings: Settings,
  {
    version,
    by,
    at,
    reason,
    restores,
  }: Pick<ConfigVersion, 'version' | 'by' | 'reason' | 'restores'> & {
    at: string;
  },
): Promise<{ version: number }> {
  const row = { ...toPlace(place), version, settings, reason, by, at: new Date(at), restores };
  await tx.insert(ConfigVersion, row);
  publish(SettingsChanged({ ...toPlace(place), version }));
  return { version };
}

export interface Difference {
  key: string;
  before: string | null;
  after: string | null;
}

const maskValue = (setting: StoredSetting | undefined): string | null =>
  setting ? (setting.secret ? secretMask : setting.value) : null;

/** Compares two versions by key. Secrets are masked. */
export function compareSettings(before: Settings, after: Settings): Difference[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((key) => before[key]?.value !== after[key]?.value || before[key]?.secret !== after[key]?.secret)
    .sort()
    .map((key) => ({ key, before: maskValue(before[key]), after: maskValue(after[key]) }));
}

/** Returns the settings in key order, with secrets masked. */
export const toListItems = (settings: Settings) =>
  Object.entries(settings)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, setting]) => ({ key, ...setting, value: maskValue(setting)! }));
