import { Controller, Get, Header, Inject } from '@nestjs/common';
import {
  HealthCheck,
  HealthCheckService,
  HealthIndicatorService,
  type HealthIndicatorResult,
} from '@nestjs/terminus';
import { instanceHeader } from './upstream-addresses.ts';

/** The conditions for a service to take work, by name, each with the reason if it is not met. */
export class Readiness {
  readonly #conditions = new Map<string, () => Promise<string | undefined> | string | undefined>();
  readonly #simulated = new Set<string>();

  /**
   * Marks a dependency as simulated, such as a provider that is not configured in local mode. The health output, the
   * announcement and, through it, the gateway show that.
   */
  simulate(name: string): void {
    this.#simulated.add(name);
  }

  get simulated(): string[] {
    return [...this.#simulated];
  }

  /** @param reason returns why the condition is not met, or undefined if it is met */
  add(name: string, reason: () => Promise<string | undefined> | string | undefined): void {
    this.#conditions.set(name, reason);
  }

  get conditions(): [string, () => Promise<string | undefined> | string | undefined][] {
    return [...this.#conditions];
  }
}

@Controller('health')
export class HealthController {
  constructor(
    @Inject(HealthCheckService) private readonly health: HealthCheckService,
    @Inject(HealthIndicatorService) private readonly indicators: HealthIndicatorService,
    @Inject(Readiness) private readonly readiness: Readiness,
  ) {}

  /**
   * Liveness. Ignores dependencies, because a restart would not repair them. By the header, gateway and registry recognize
   * a process of the store.
   */
  @Get('live')
  @Header(instanceHeader, 'true')
  live(): { status: string } {
    return { status: 'ok' };
  }

  @Get('ready')
  @HealthCheck()
  ready() {
    const simulated = this.readiness.simulated.map(
      (name) => (): HealthIndicatorResult => this.indicators.check(name).up({ simulated: true }),
    );
    return this.health.check([
      ...simulated,
      ...this.readiness.conditions.map(([name, reason]) => async (): Promise<HealthIndicatorResult> => {
        const indicator = this.indicators.check(name);
        const why = await Promise.resolve()
          .then(reason)
          .catch((error: Error) => error.message);
        return why ? indicator.down({ reason: why }) : indicator.up();
      }),
    ]);
  }
}
