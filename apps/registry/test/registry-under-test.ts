import { service } from '@jogakbo/contract';
import { type InstanceView } from '@jogakbo/contracts-registry';
import { start, type RunningService } from '@jogakbo/service';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { z } from 'zod';
import { configure, httpOptions } from '../src/http.ts';
import { RegistryModule } from '../src/registry.module.ts';
import { GreeterModule } from './greeter.ts';

/** Seconds between the announcements of an instance. */
export const interval = 0.2;
export const Announced = service('instances').event('announced', z.any());

/** A registry, and one instance of the service `greeter`. */
export class RegistryUnderTest {
  greeter: RunningService;

  private constructor(readonly registry: ServiceUnderTest) {}

  static async start(): Promise<RegistryUnderTest> {
    const registry = await ServiceUnderTest.start(
      RegistryModule,
      { ANNOUNCE_EVERY: String(interval) },
      { fastify: httpOptions, configure },
    );
    const self = new RegistryUnderTest(registry);
    self.greeter = await self.runGreeter();
    // Its load is in its first heartbeat.
    await eventually(async () => (await self.listInstances('greeter'))[0]?.load !== undefined);
    return self;
  }

  async stop(): Promise<void> {
    await this.greeter.stop();
    await this.registry.stop();
  }

  runGreeter({ version, interval: every = interval }: { version?: string; interval?: number } = {}) {
    return start(GreeterModule, {
      environment: {
        RABBITMQ_URL: this.registry.broker.url,
        LOG_LEVEL: 'error',
        ANNOUNCE_EVERY: String(every),
      },
      ...(version && { version }),
    });
  }

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- untyped response
  async get(path: string, url = this.registry.url): Promise<{ status: number; body: any }> {
    const response = await fetch(url + path);
    return { status: response.status, body: await response.json() };
  }

  /** The live instances of a service, as this or another replica lists them. */
  async listInstances(service: string, url?: string): Promise<InstanceView[]> {
    return ((await this.get('/instances', url)).body as InstanceView[]).filter(
      (one) => one.service === service,
    );
  }
}
