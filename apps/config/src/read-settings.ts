import { platformRejection, type Body } from '@jogakbo/contract';
import { ReadSettings } from '@jogakbo/contracts-config';
import { Handles, KnownGrants, MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { toPlace } from './config-version.ts';
import { Sources } from './sources.ts';
import { SecretEncryption } from './secret-encryption.ts';

@Controller()
export class ReadSettingsHandler {
  constructor(
    private readonly sources: Sources,
    private readonly encryption: SecretEncryption,
    private readonly grants: KnownGrants,
  ) {}

  /** Returns the settings of the calling service. If services share one login, others can read them but not decrypt secrets. */
  @Handles(ReadSettings)
  async handle({ application, profiles, label }: Body<typeof ReadSettings>, { incoming }: MessageContext) {
    if (this.grants.hasLoginPerService && incoming.sender !== application)
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
}
