import { ConflictException, HttpException, Injectable } from '@nestjs/common';
import { RegistrySettings } from './settings.ts';

/**
 * Limits instances and changes per app. Every gateway and registry keeps all instances and processes all changes, so
 * without limits a single credential could exhaust them.
 */
@Injectable()
export class RegistrationLimits {
  readonly #budgets = new Map<string, { remaining: number; at: number }>();
  /** Instances whose registration is in progress. */
  readonly #arriving = new Map<string, Set<string>>();

  constructor(private readonly settings: RegistrySettings) {}

  /** Counts a change in a token bucket that refills within a minute. @throws HttpException 429 */
  countChange(app: string): void {
    const { changesPerApp } = this.settings;
    const now = performance.now();
    const { remaining, at } = this.#budgets.get(app) ?? { remaining: changesPerApp, at: now };
    const available = Math.min(changesPerApp, remaining + ((now - at) / 60_000) * changesPerApp);
    if (available < 1) {
      throw new HttpException(
        `${app} changes its instances too often: the limit is ${changesPerApp} changes per minute`,
        429,
      );
    }
    this.#budgets.set(app, { remaining: available - 1, at: now });
  }

  /**
   * Runs `register` if the app may have another instance.
   * @param present names of the app's current instances
   * @throws HttpException 409 at the limit
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
      throw new ConflictException(`${app} has ${instancesPerApp} instances, the maximum`);
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
