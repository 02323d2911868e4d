import { platformRejection, type Body } from '@jogakbo/contract';
import { ChangeSettings, RollBack, SettingsChanged, sharedApplication } from '@jogakbo/contracts-config';
import { GetMemberEmail } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Ask, Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import {
  ConfigVersion,
  findNewestVersion,
  toPlace,
  type StoredSetting,
  type Place,
  type Settings,
} from './config-version.ts';
import { SettingsCheck } from './settings-check.ts';
import { SecretEncryption } from './secret-encryption.ts';

type Change = Body<typeof ChangeSettings>['settings'][number];

/** Stores each change as a new version. Concurrent changes of one place are serialised. */
@Controller()
export class ChangeSettingsHandler {
  constructor(
    private readonly ask: Ask,
    private readonly encryption: SecretEncryption,
    private readonly check: SettingsCheck,
  ) {}

  @Handles(ChangeSettings)
  async change(command: Body<typeof ChangeSettings>, work: UnitOfWork) {
    const { settings: changes, reason, version: expected } = command;
    const by = await this.#identifyOperator(work);
    const newValues = changes.flatMap(({ key, value }) => (value === null ? [] : [[key, value] as const]));
    if (newValues.length > 0)
      await this.check.assertValid(command.application, Object.fromEntries(newValues));
    const before = await lockNewestVersion(work, command);
    if (expected !== undefined && expected !== (before?.version ?? 0)) {
      throw ChangeSettings.reject(
        'version-changed',
        `the newest version is ${before?.version ?? 0}, not ${expected}`,
      );
    }
    const stamp = { version: (before?.version ?? 0) + 1, by, at: new Date().toISOString() };
    const settings: Settings = { ...before?.settings };
    let changed = false;
    for (const change of changes) {
      if (!this.#applyChange(command, settings, change, stamp)) continue;
      changed = true;
    }
    if (!changed) throw ChangeSettings.reject('no-change', 'all settings already have these values');
    return addVersion(work, command, settings, { ...stamp, reason, restores: null });
  }

  /** @returns false if the setting already has this value */
  #applyChange(
    place: Place,
    settings: Settings,
    { key, value, secret }: Change,
    stamp: Omit<StoredSetting, 'value' | 'secret'>,
  ): boolean {
    const known = Object.hasOwn(settings, key) ? settings[key] : undefined;
    if (value === null) return known ? delete settings[key] : false;
    const isSecret = secret ?? known?.secret ?? false;
    if (isSecret && place.application === sharedApplication) {
      const message = 'all services can read the settings of application: set the secret for one service';
      throw ChangeSettings.reject('shared-secret', message, [{ path: key, message }]);
    }
    const before = known?.secret ? this.encryption.decrypt(place, key, known.value) : known?.value;
    if (before === value && known?.secret === isSecret) return false;
    settings[key] = {
      ...stamp,
      secret: isSecret,
      value: isSecret ? this.encryption.encrypt(place, key, value) : value,
    };
    return true;
  }

  /** Unchanged settings keep the version that set them. */
  @Handles(RollBack)
  async rollBack(command: Body<typeof RollBack>, work: UnitOfWork) {
    const { to, reason } = command;
    const by = await this.#identifyOperator(work);
    const before = await lockNewestVersion(work, command);
    const target = await work.tx.findOneBy(ConfigVersion, { ...toPlace(command), version: to });
    if (!before || !target) throw platformRejection('not-found', `there is no version ${to}`);
    const stamp = { version: before.version + 1, by, at: new Date().toISOString() };
    const settings: Settings = {};
    let changed = Object.keys(before.settings).some((key) => !Object.hasOwn(target.settings, key));
    for (const [key, restored] of Object.entries(target.settings)) {
      const current = before.settings[key];
      const isSame = current?.value === restored.value && current.secret === restored.secret;
      settings[key] = isSame ? current : { ...restored, ...stamp };
      changed ||= !isSame;
    }
    if (!changed) throw RollBack.reject('no-change', `the settings are the same as in version ${to}`);
    return addVersion(work, command, settings, { ...stamp, reason, restores: to });
  }

  /** Returns the operator's email, or the member id if identity is unavailable. Called before the transaction begins. */
  async #identifyOperator({ caller }: UnitOfWork): Promise<string> {
    if (!caller.has('operator')) throw platformRejection('forbidden', 'requires the role operator');
    return this.ask(GetMemberEmail, { memberId: caller.memberId }, { timeout: 1_000 }).then(
      ({ email }) => email,
      () => caller.memberId,
    );
  }
}

/** Locks a place until the end of the transaction, and returns its newest version. */
async function lockNewestVersion({ tx }: UnitOfWork, place: Place): Promise<ConfigVersion | undefined> {
  const name = `config ${place.application}/${place.profile}/${place.label}`;
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [name]);
  return findNewestVersion(tx, place);
}

async function addVersion(
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
