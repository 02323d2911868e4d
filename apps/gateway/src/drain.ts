import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { Load } from './load.ts';
import { GatewaySettings } from './settings.ts';

/**
 * Graceful shutdown: `/health/ready` fails first, for `DRAIN_DELAY` seconds, so that load balancers can notice. Then the
 * server accepts no more connections, closes idle ones and answers the requests in flight.
 */
@Injectable()
export class Drain implements BeforeApplicationShutdown {
  #hasBegun = false;

  constructor(
    private readonly load: Load,
    private readonly adapter: HttpAdapterHost,
    private readonly settings: GatewaySettings,
  ) {}

  /** True once responses must carry `Connection: close`. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#hasBegun = true;
    await sleep(this.settings.drainDelay * 1_000);
    const { server } = this.adapter.httpAdapter.getInstance<FastifyInstance>();
    // Node does not treat a connection without a complete request as idle, so it would block the shutdown.
    const closing = setInterval(() => {
      if (!server.listening && this.load.inFlight === 0) server.closeAllConnections();
    }, 50).unref();
    server.once('close', () => clearInterval(closing));
  }
}
