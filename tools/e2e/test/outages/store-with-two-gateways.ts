import { startPrivateRedis, type PrivateRedis } from '@jogakbo/testing';
import { type ExtraInstance, startInstance } from '../../src/hold-down.ts';
import { until } from '../../src/jogakbo.ts';
import { Store } from '../../src/store.ts';

/** A store with two gateways that share a Redis. */
export class TwoGateways {
  readonly store = new Store();
  redis!: PrivateRedis;
  second!: ExtraInstance;

  async open(): Promise<void> {
    this.redis = await startPrivateRedis();
    await this.store.start(['--no-seed'], { REDIS_URL: this.redis.url });
    this.second = await startInstance(this.store, 'gateway');
    await until(() => this.areReady());
  }

  /** Whether both gateways can accept an order. */
  async areReady(): Promise<boolean> {
    const { url } = this.second;
    const answers = await Promise.all([
      this.store.call('GET', '/health/ready').catch(() => undefined),
      this.store.call('GET', '/health/ready', { url }),
    ]);
    return answers.every((answer) => answer?.status === 200);
  }

  async close(): Promise<void> {
    await this.second?.end();
    await this.store.remove();
    await this.redis?.drop();
  }
}
