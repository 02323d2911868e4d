import { splitKeyOf, versionFor, type CallContext, type Splitter } from '@jogakbo/messaging';
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
      new Counter({ name, help, labelNames: ['callee', 'version'], registers: [registry] });
    this.#calls = counter(
      'calls_split_total',
      'Calls to callees whose calls are split, by the version that they were meant for.',
    );
    this.#fellBack = counter(
      'calls_split_fell_back_total',
      'Calls that other versions took, for the one that they were meant for was away.',
    );
  }

  /** True while a split stands for the callee. */
  splits(callee: string): boolean {
    return Object.hasOwn(this.settings.trafficSplit, callee);
  }

  versionFor(callee: string, context: CallContext | undefined): string | undefined {
    if (!this.splits(callee)) return undefined;
    const version = versionFor(callee, this.settings.trafficSplit[callee]!, splitKeyOf(context));
    this.#calls.inc({ callee, version: version ?? 'others' });
    return version;
  }

  fellBack(callee: string, version: string): void {
    this.#fellBack.inc({ callee, version });
  }
}
