import { config } from '@jogakbo/contracts-config';
import { GetMemberEmail } from '@jogakbo/contracts-identity';
import { consistencyMigrations } from '@jogakbo/consistency';
import { Service } from '@jogakbo/service';
import { ConfigVersions1700000004000 } from '../migrations/1700000004000-config-versions.ts';
import { ChangeSettingsHandler } from './change-settings.ts';
import { CompareVersionsHandler } from './compare-versions.ts';
import { ConfigVersion } from './config-version.ts';
import { ExplainSettingsHandler } from './explain-settings.ts';
import { GetSettingsHandler } from './get-settings.ts';
import { ListPlacesHandler } from './list-places.ts';
import { ListVersionsHandler } from './list-versions.ts';
import { ReadSettingsHandler } from './read-settings.ts';
import { RollBackHandler } from './roll-back.ts';
import { RunningInstances } from './running-instances.ts';
import { SettingsCheck } from './settings-check.ts';
import { ConfigSettings } from './settings.ts';
import { Sources } from './sources.ts';
import { SpringController } from './spring.controller.ts';
import { SecretEncryption } from './secret-encryption.ts';

@Service({
  contract: config,
  calls: [GetMemberEmail],
  settings: ConfigSettings,
  migrations: [...consistencyMigrations, ConfigVersions1700000004000],
  entities: [ConfigVersion],
  providers: [SecretEncryption, Sources, RunningInstances, SettingsCheck],
  handlers: [
    ReadSettingsHandler,
    ListPlacesHandler,
    GetSettingsHandler,
    ListVersionsHandler,
    CompareVersionsHandler,
    ChangeSettingsHandler,
    RollBackHandler,
    ExplainSettingsHandler,
    SpringController,
  ],
})
export class ConfigModule {}
