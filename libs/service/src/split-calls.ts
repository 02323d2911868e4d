import { versionFor, type Shares, type SplitContext, type Splitter } from '@jogakbo/messaging';
import { Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';
import type { Metrics } from './metrics.ts';
import type { PlatformSettings } from './settings.ts';

/** Splits the calls of a service by the setting `trafficSplit`, and counts them on /metrics. */
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
      'Calls to services with a traffic split, by intended version.',
    );
    this.#fellBack = counter(
      'calls_split_fell_back_total',
      'Calls that another version took, because the intended one was not running.',
    );
  }

  /** Undefined without a split for the callee. */
  getShares(callee: string): Shares | undefined {
    const { trafficSplit } = this.settings;
    return Object.hasOwn(trafficSplit, callee) ? trafficSplit[callee] : undefined;
  }

  /** Describes the intended versions of a call, and of the calls that it causes, as a text. Counts nothing. */
  describeVersions(context: SplitContext): string {
    const { trafficSplit } = this.settings;
    const sides = Object.keys(trafficSplit).map((callee) => this.#findVersion(callee, context) ?? '');
    return sides.join(' ');
  }

  #findVersion(callee: string, context: SplitContext): string | undefined {
    const shares = this.getShares(callee);
    return shares && versionFor(shares, context?.splitKey);
  }

  versionFor(callee: string, context: SplitContext): string | undefined {
    if (!this.getShares(callee)) return undefined;
    const version = this.#findVersion(callee, context);
    this.#calls.inc({ callee, callee_version: version ?? 'others' });
    return version;
  }

  onVersionUnavailable(callee: string, version: string): void {
    this.#fellBack.inc({ callee, callee_version: version });
  }
}
