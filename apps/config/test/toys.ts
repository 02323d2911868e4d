import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from '@jest/globals';
import { type RunningService } from '@jogakbo/service';
import { type ServiceUnderTest } from '@jogakbo/testing';
import { startToys } from './server.ts';

/** Milliseconds within which a live change is in force in all instances. */
export const liveTimeoutMs = 1_000;

/** Starts instances of the service `toys`. Each test has an empty cache of settings, and its instances end with it. */
export function createToys() {
  const running: RunningService[] = [];
  let cache = '';
  beforeEach(() => {
    cache = mkdtempSync(join(tmpdir(), 'jogakbo-config-'));
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((service) => service.stop()));
    rmSync(cache, { recursive: true, force: true });
  });
  return {
    running,
    get cache() {
      return cache;
    },
    async start(server: Pick<ServiceUnderTest, 'broker'>, environment: NodeJS.ProcessEnv = {}) {
      const service = await startToys(server, { CONFIG_CACHE: cache, ...environment });
      running.push(service);
      return service;
    },
  };
}
