import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { GatewaySettings } from './settings.ts';

/**
 * Graceful shutdown: `/health/ready` fails first, for `DRAIN_DELAY` seconds, so that load balancers can notice. Then the
 * server accepts no more connections, closes idle ones and answers the requests in progress (`NestApp` of libs/service).
 */
@Injectable()
export class Drain implements BeforeApplicationShutdown {
  #hasBegun = false;

  constructor(private readonly settings: GatewaySettings) {}

  /** True once responses must carry `Connection: close`. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#hasBegun = true;
    await sleep(this.settings.drainDelay * 1_000);
  }
}
