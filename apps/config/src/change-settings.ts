import { platformRejection, type Body } from '@jogakbo/contract';
import { ChangeSettings, RollBack, SettingsChanged, shared } from '@jogakbo/contracts-config';
import { GetMemberEmail } from '@jogakbo/contracts-identity';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Ask, Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import {
  ConfigVersion,
  newest,
  toPlace,
  type StoredSetting,
  type Place,
  type Settings,
} from './config-version.ts';
import { SettingsCheck } from './settings-check.ts';
import { SecretEncryption } from './secret-encryption.ts';

type Change = Body<typeof ChangeSettings>['settings'][number];

/** Each change is a new version; of two changes of one place at once the second builds on the first. */
@Controller()
export class ChangeSettingsHandler {
  constructor(
    private readonly ask: Ask,
    private readonly vault: SecretEncryption,
    private readonly check: SettingsCheck,
  ) {}

  @Handles(ChangeSettings)
  async change(command: Body<typeof ChangeSettings>, work: UnitOfWork) {
    const { settings: changes, reason, version: expected } = command;
    const by = await this.#who(work);
    const given = changes.flatMap(({ key, value }) => (value === null ? [] : [[key, value] as const]));
    if (given.length > 0) await this.check.mustFit(command.application, Object.fromEntries(given));
    const before = await newestAlone(work, command);
    if (expected !== undefined && expected !== (before?.version ?? 0)) {
      throw ChangeSettings.reject('version-changed', `the newest version is ${before?.version ?? 0}`);
    }
    const stamp = { version: (before?.version ?? 0) + 1, by, at: new Date().toISOString() };
    const settings: Settings = { ...before?.settings };
    let changed = false;
    for (const change of changes) {
      if (!this.#change(command, settings, change, stamp)) continue;
      changed = true;
    }
    if (!changed) throw ChangeSettings.reject('no-change', 'all of this is set already');
    return write(work, command, settings, { ...stamp, reason, restores: null });
  }

  /** False where it changes nothing. */
  #change(
    place: Place,
    settings: Settings,
    { key, value, secret }: Change,
    stamp: Omit<StoredSetting, 'value' | 'secret'>,
  ): boolean {
    const known = Object.hasOwn(settings, key) ? settings[key] : undefined;
    if (value === null) return known ? delete settings[key] : false;
    const isSecret = secret ?? known?.secret ?? false;
    if (isSecret && place.application === shared) {
      const message =
        'every service reads the settings of application: set a secret for the one that needs it';
      throw ChangeSettings.reject('shared-secret', message, [{ path: key, message }]);
    }
    const before = known?.secret ? this.vault.decrypt(place, key, known.value) : known?.value;
    if (before === value && known?.secret === isSecret) return false;
    settings[key] = {
      ...{ ...stamp, secret: isSecret },
      value: isSecret ? this.vault.encrypt(place, key, value) : value,
    };
    return true;
  }

  /** What did not differ keeps the version that set it. */
  @Handles(RollBack)
  async rollBack(command: Body<typeof RollBack>, work: UnitOfWork) {
    const { to, reason } = command;
    const by = await this.#who(work);
    const before = await newestAlone(work, command);
    const target = await work.tx.findOneBy(ConfigVersion, { ...toPlace(command), version: to });
    if (!before || !target) throw platformRejection('not-found', `there is no version ${to}`);
    const stamp = { version: before.version + 1, by, at: new Date().toISOString() };
    const settings: Settings = {};
    let changed = Object.keys(before.settings).some((key) => !Object.hasOwn(target.settings, key));
    for (const [key, kept] of Object.entries(target.settings)) {
      const now = before.settings[key];
      const isSame = now?.value === kept.value && now.secret === kept.secret;
      settings[key] = isSame ? now : { ...kept, ...stamp };
      changed ||= !isSame;
    }
    if (!changed) throw RollBack.reject('no-change', `nothing has changed since version ${to}`);
    return write(work, command, settings, { ...stamp, reason, restores: to });
  }

  /** The address of the operator; the id where identity is away. Asked before the transaction begins. */
  async #who({ caller }: UnitOfWork): Promise<string> {
    if (!caller.has('operator')) throw platformRejection('forbidden', 'this is for the role operator');
    return this.ask(GetMemberEmail, { memberId: caller.memberId }, { timeout: 1_000 }).then(
      ({ email }) => email,
      () => caller.memberId,
    );
  }
}

/** The newest version, with nobody else changing this place until the commit. */
async function newestAlone({ tx }: UnitOfWork, place: Place): Promise<ConfigVersion | undefined> {
  const name = `config ${place.application}/${place.profile}/${place.label}`;
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [name]);
  return newest(tx, place);
}

async function write(
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
