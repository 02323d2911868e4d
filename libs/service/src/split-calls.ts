import { versionFor, type Shares, type SplitContext, type Splitter } from '@jogakbo/messaging';
import { Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';
import type { Metrics } from './metrics.ts';
import type { PlatformSettings } from './settings.ts';

/** Splits the calls of a service to its callees by the setting `trafficSplit`, and counts them on /metrics. */
@Injectable()
export class SplitCalls implements Splitter {
  readonly #calls: Counter;
  readonly #fellBack: Counter;

  /** @param settings `trafficSplit` may change at any time */
  constructor(
    private readonly settings: Pick<PlatformSettings, 'trafficSplit'>,
    { registry }: Metrics,
  ) {
    const counter = (name: string, help: string) =>
      new Counter({ name, help, labelNames: ['callee', 'callee_version'], registers: [registry] });
    this.#calls = counter(
      'calls_split_total',
      'Calls to callees whose calls are split, by the version that they were meant for.',
    );
    this.#fellBack = counter(
      'calls_split_fell_back_total',
      'Calls that other versions took, for the one that they were meant for was away.',
    );
  }

  /** Undefined while no split stands for the callee. */
  getShares(callee: string): Shares | undefined {
    const { trafficSplit } = this.settings;
    return Object.hasOwn(trafficSplit, callee) ? trafficSplit[callee] : undefined;
  }

  /** Which versions a call and those that it causes are meant for, as a text. Nothing is counted. */
  describeSides(context: SplitContext): string {
    const { trafficSplit } = this.settings;
    const sides = Object.keys(trafficSplit).map((callee) => this.#meantFor(callee, context) ?? '');
    return sides.join(' ');
  }

  #meantFor(callee: string, context: SplitContext): string | undefined {
    const shares = this.getShares(callee);
    return shares && versionFor(shares, context?.splitKey);
  }

  versionFor(callee: string, context: SplitContext): string | undefined {
    if (!this.getShares(callee)) return undefined;
    const version = this.#meantFor(callee, context);
    this.#calls.inc({ callee, callee_version: version ?? 'others' });
    return version;
  }

  fellBack(callee: string, version: string): void {
    this.#fellBack.inc({ callee, callee_version: version });
  }
}
