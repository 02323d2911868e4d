import type { FieldError } from '@jogakbo/contract';
import { ChangeSettings, shared } from '@jogakbo/contracts-config';
import { nearestName } from '@jogakbo/service/nearest-name';
import { Injectable } from '@nestjs/common';
import { RunningInstances } from './running-instances.ts';
import { SecretEncryption } from './secret-encryption.ts';

/** Refuses what a service would refuse, before it is kept. */
@Injectable()
export class SettingsCheck {
  constructor(
    private readonly running: RunningInstances,
    private readonly vault: SecretEncryption,
  ) {}

  /**
   * Asks the instances that run, each of which knows its settings best. Where none runs or answers, nothing is refused: a
   * service checks what it is given when it starts. A key of `application` must be known to one of the services, and its
   * value be accepted by all that know it.
   * @throws Rejection `unknown-service` or `invalid-settings`, each with the nearest name
   */
  async mustFit(application: string, settings: Record<string, string>): Promise<void> {
    const services = this.#getServices(application);
    const told = await Promise.all(
      services.map((service) =>
        this.running.ask(service, (ask) => ({
          proposed: this.vault.encryptText(service, ask, JSON.stringify(settings)),
        })),
      ),
    );
    const answers = told.flat();
    if (answers.length === 0) return;
    const known = [...new Set(answers.flatMap(({ settings }) => settings.map(({ key }) => key)))];
    const problems = answers.flatMap(({ problems = [] }) => problems);
    const errors = Object.keys(settings).flatMap((key): FieldError[] => {
      if (!known.includes(key)) return [{ path: key, message: unknownText('setting', key, known) }];
      const messages = problems.filter((one) => one.key === key).map(({ problem }) => problem);
      return [...new Set(messages)].map((message) => ({ path: key, message }));
    });
    if (errors.length > 0)
      throw ChangeSettings.reject('invalid-settings', `Nothing was set for ${application}.`, errors);
  }

  #getServices(application: string): string[] {
    const known = this.vault.services;
    if (application !== shared && !known.includes(application))
      throw ChangeSettings.reject('unknown-service', unknownText('service', application, [...known, shared]));
    const services = application === shared ? known : [application];
    return services.filter((service) => this.running.mayRun(service));
  }
}

function unknownText(kind: string, name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known);
  return `there is no such ${kind}${nearest ? `; did you mean ${nearest}?` : ''}`;
}
