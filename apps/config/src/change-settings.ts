import type { Body } from '@jogakbo/contract';
import { ChangeSettings, sharedApplication } from '@jogakbo/contracts-config';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Ask, Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import {
  addVersion,
  lockNewestVersion,
  type StoredSetting,
  type Place,
  type Settings,
} from './config-version.ts';
import { identifyOperator } from './operator.ts';
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
  async handle(command: Body<typeof ChangeSettings>, work: UnitOfWork) {
    const { settings: changes, reason, version: expected } = command;
    const by = await identifyOperator(this.ask, work);
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
}
