import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { Load } from './load.ts';
import { GatewaySettings } from './settings.ts';

/**
 * The end of the gateway: `/health/ready` says no first, for as long as whoever sends requests here needs to notice; then
 * no connection is taken any more, those that wait for nothing are closed, and what is at hand is answered.
 */
@Injectable()
export class Drain implements BeforeApplicationShutdown {
  #hasBegun = false;

  constructor(
    private readonly load: Load,
    private readonly adapter: HttpAdapterHost,
    private readonly settings: GatewaySettings,
  ) {}

  /** True once answers have to say that theirs is the last on the connection. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#hasBegun = true;
    await sleep(this.settings.drainDelay * 1_000);
    const { server } = this.adapter.httpAdapter.getInstance<FastifyInstance>();
    // A connection on which no whole request ever came is not idle for Node, and would hold up the end.
    const closing = setInterval(() => {
      if (!server.listening && this.load.inFlight === 0) server.closeAllConnections();
    }, 50).unref();
    server.once('close', () => clearInterval(closing));
  }
}
