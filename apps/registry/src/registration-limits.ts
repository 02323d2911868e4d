import { ConflictException, HttpException, Injectable } from '@nestjs/common';
import { RegistrySettings } from './settings.ts';

/**
 * How much an app may have announced. Every gateway and registry keeps all instances, and reads all changes: without
 * limits one credential could take the memory and the time of them all.
 */
@Injectable()
export class RegistrationLimits {
  readonly #budgets = new Map<string, { left: number; at: number }>();
  /** Instances that are being registered, and are not present yet. */
  readonly #arriving = new Map<string, Set<string>>();

  constructor(private readonly settings: RegistrySettings) {}

  /** Counts one change: a minute's number at once, and then as many as come back. @throws HttpException 429 */
  countChange(app: string): void {
    const { changesPerApp } = this.settings;
    const now = performance.now();
    const { left, at } = this.#budgets.get(app) ?? { left: changesPerApp, at: now };
    const available = Math.min(changesPerApp, left + ((now - at) / 60_000) * changesPerApp);
    if (available < 1) {
      throw new HttpException(
        `${app} changes its instances too often: ${changesPerApp} changes a minute at most`,
        429,
      );
    }
    this.#budgets.set(app, { left: available - 1, at: now });
  }

  /**
   * Runs what registers an instance, if there is room for it.
   * @param present the instances of the app, by name
   * @throws HttpException 409 where there is none
   */
  async admit<T>(
    app: string,
    instance: string,
    present: readonly string[],
    register: () => Promise<T>,
  ): Promise<T> {
    const arriving = this.#arriving.get(app) ?? new Set();
    const taken = new Set([...present, ...arriving]);
    const { instancesPerApp } = this.settings;
    if (!taken.has(instance) && taken.size >= instancesPerApp) {
      throw new ConflictException(`${app} has ${instancesPerApp} instances: no more are registered`);
    }
    this.#arriving.set(app, arriving.add(instance));
    try {
      return await register();
    } finally {
      arriving.delete(instance);
      if (arriving.size === 0) this.#arriving.delete(app);
    }
  }
}
