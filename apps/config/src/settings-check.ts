import type { FieldError } from '@jogakbo/contract';
import { ChangeSettings, sharedApplication } from '@jogakbo/contracts-config';
import { nearestName } from '@jogakbo/service/nearest-name';
import { Injectable } from '@nestjs/common';
import { RunningInstances } from './running-instances.ts';
import { SecretEncryption } from './secret-encryption.ts';

/** Rejects settings that a running service would reject, before they are stored. */
@Injectable()
export class SettingsCheck {
  constructor(
    private readonly running: RunningInstances,
    private readonly encryption: SecretEncryption,
  ) {}

  /**
   * Asks the running instances to validate the settings. Without any report, all settings are accepted: a service checks
   * them again at start. A key of `application` must exist in at least one service, and all services that have it must
   * accept its value.
   * @throws Rejection `unknown-service` or `invalid-settings`, each with the nearest name
   */
  async assertValid(application: string, settings: Record<string, string>): Promise<void> {
    const services = this.#getServices(application);
    const reports = await Promise.all(
      services.map((service) =>
        this.running.collectReports(service, (ask) => ({
          proposed: this.encryption.encryptText(service, ask, JSON.stringify(settings)),
        })),
      ),
    );
    const received = reports.flat();
    if (received.length === 0) return;
    const known = [...new Set(received.flatMap(({ settings }) => settings.map(({ key }) => key)))];
    const problems = received.flatMap(({ problems = [] }) => problems);
    const errors = Object.keys(settings).flatMap((key): FieldError[] => {
      if (!known.includes(key)) return [{ path: key, message: describeUnknown('setting', key, known) }];
      const messages = problems.filter((one) => one.key === key).map(({ problem }) => problem);
      return [...new Set(messages)].map((message) => ({ path: key, message }));
    });
    if (errors.length > 0)
      throw ChangeSettings.reject(
        'invalid-settings',
        `no setting of ${application} was changed: correct these keys`,
        errors,
      );
  }

  #getServices(application: string): string[] {
    const known = this.encryption.services;
    if (application !== sharedApplication && !known.includes(application))
      throw ChangeSettings.reject(
        'unknown-service',
        describeUnknown('service', application, [...known, sharedApplication]),
      );
    const services = application === sharedApplication ? known : [application];
    return services.filter((service) => this.running.canBeRunning(service));
  }
}

function describeUnknown(kind: string, name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known);
  return `there is no such ${kind}${nearest ? `; did you mean ${nearest}?` : ''}`;
}
