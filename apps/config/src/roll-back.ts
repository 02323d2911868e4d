import { platformRejection, type Body } from '@jogakbo/contract';
import { RollBack } from '@jogakbo/contracts-config';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Ask, Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { addVersion, ConfigVersion, lockNewestVersion, toPlace, type Settings } from './config-version.ts';
import { identifyOperator } from './operator.ts';

/** Stores the settings of an earlier version as a new version. Concurrent changes of one place are serialised. */
@Controller()
export class RollBackHandler {
  constructor(private readonly ask: Ask) {}

  /** Unchanged settings keep the version that set them. */
  @Handles(RollBack)
  async handle(command: Body<typeof RollBack>, work: UnitOfWork) {
    const { to, reason } = command;
    const by = await identifyOperator(this.ask, work);
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
}
