import type { WireAttribute } from './otlp/wire.ts';
import { type OtlpSender, toNanoseconds, toWireAttributes } from './otlp-sender.ts';

type Labels = Partial<Record<string, string | number>>;

/** A metric as prom-client's `getMetricsAsJSON` returns it. */
export interface MetricFamily {
  name: string;
  help: string;
  type: unknown;
  values?: {
    value: number;
    labels: Labels;
    /** Histograms: with the suffix `_bucket`, `_sum` or `_count`. */
    metricName?: string;
    exemplar?: { labelSet: Labels; value: number; timestamp: number } | null;
  }[];
}
type FamilyValue = NonNullable<MetricFamily['values']>[number];

interface Exemplar {
  timeUnixNano: string;
  asDouble: number;
  traceId: string;
}
interface Point {
  attributes: WireAttribute[];
  startTimeUnixNano: string;
  timeUnixNano: string;
}

/** OTLP's AGGREGATION_TEMPORALITY_CUMULATIVE: values count since the start of the instance. */
const cumulative = 2;

/** They are attributes of the resource. */
const resourceLabels = new Set(['service', 'version']);

/** Exports the metrics of one instance again and again. */
export class MetricExporter {
  /** Exports that the collector did not accept as a whole since the start. */
  lost = 0;
  readonly #sender: OtlpSender;
  readonly #resource: { attributes: WireAttribute[] };
  readonly #read: () => Promise<MetricFamily[]>;
  readonly #started = Date.now();
  readonly #timer: NodeJS.Timeout;
  #exporting: Promise<void> | undefined;
  /** Milliseconds since 1970. Exemplars before it have left already. */
  #exportedUntil = 0;

  /** @param exportEvery milliseconds between exports */
  constructor(
    sender: OtlpSender,
    resource: { attributes: WireAttribute[] },
    read: () => Promise<MetricFamily[]>,
    exportEvery: number,
  ) {
    this.#sender = sender;
    this.#resource = resource;
    this.#read = read;
    this.#timer = setInterval(() => void this.#export(), exportEvery).unref();
  }

  /** Exports the last values, and stops. Never rejects. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#exporting;
    await this.#export();
  }

  /** One at a time: reading may wait for a database. */
  #export(): Promise<void> {
    return (this.#exporting ??= this.#readAndSend()
      .catch(() => void (this.lost += 1))
      .finally(() => (this.#exporting = undefined)));
  }

  async #readAndSend(): Promise<void> {
    const time = Date.now();
    const families = await this.#read();
    const times = { started: this.#started, time, exemplarsSince: this.#exportedUntil };
    const metrics = families.map((family) => toWireMetric(family, times));
    const rejected = await this.#sender.send('metrics', {
      resourceMetrics: [{ resource: this.#resource, scopeMetrics: [{ metrics }] }],
    });
    if (rejected !== 0) this.lost += 1;
    this.#exportedUntil = time;
  }
}

/** Milliseconds since 1970. */
interface Times {
  /** Of the instance. */
  started: number;
  time: number;
  exemplarsSince: number;
}

/** Metrics of the process count since its start. It may run several instances. */
const isOfProcess = (name: string): boolean => /^(process|nodejs)_/.test(name);

function toWireMetric({ name, help, type, values = [] }: MetricFamily, times: Times): object {
  const described = { name, description: help, unit: getUnit(name) };
  const toPoint = (labels: Labels): Point => ({
    attributes: toWireAttributes(
      Object.fromEntries(Object.entries(labels).filter(([label]) => !resourceLabels.has(label))),
    ),
    startTimeUnixNano: toNanoseconds(isOfProcess(name) ? performance.timeOrigin : times.started),
    timeUnixNano: toNanoseconds(times.time),
  });
  if (type === 'histogram')
    return {
      ...described,
      histogram: {
        aggregationTemporality: cumulative,
        dataPoints: toHistograms(name, values, toPoint, times.exemplarsSince),
      },
    };
  const dataPoints = values
    .filter(({ value }) => Number.isFinite(value))
    .map(({ value, labels }) => ({ ...toPoint(labels), asDouble: value }));
  return type === 'counter'
    ? { ...described, sum: { aggregationTemporality: cumulative, isMonotonic: true, dataPoints } }
    : { ...described, gauge: { dataPoints } };
}

/** Units end the names of Prometheus' metrics; OTLP has them in UCUM's notation. Counts have none: `1` would be a ratio. */
function getUnit(name: string): string {
  if (/_seconds(_total)?$/.test(name)) return 's';
  return /_bytes(_total)?$/.test(name) ? 'By' : '';
}

/** Prometheus' buckets include all lower ones, OTLP's do not. */
function toHistograms(
  name: string,
  values: readonly FamilyValue[],
  toPoint: (labels: Labels) => Point,
  exemplarsSince: number,
): object[] {
  const series = new Map<string, { labels: Labels; buckets: FamilyValue[]; sum: number; count: number }>();
  for (const one of values) {
    const { le: _le, ...labels } = one.labels;
    const key = JSON.stringify(Object.entries(labels).sort());
    let found = series.get(key);
    if (!found) series.set(key, (found = { labels, buckets: [], sum: 0, count: 0 }));
    if (one.metricName === `${name}_bucket`) found.buckets.push(one);
    else if (one.metricName === `${name}_sum`) found.sum = one.value;
    else found.count = one.value;
  }
  return [...series.values()].map(({ labels, buckets, sum, count }) => {
    const sorted = buckets.sort((a, b) => getBound(a) - getBound(b));
    return {
      ...toPoint(labels),
      sum,
      count: String(count),
      explicitBounds: sorted.map(getBound).filter(Number.isFinite),
      bucketCounts: sorted.map(({ value }, index) => String(value - (sorted[index - 1]?.value ?? 0))),
      exemplars: sorted.flatMap(({ exemplar }) => toExemplar(exemplar, exemplarsSince)),
    };
  });
}

const getBound = ({ labels }: FamilyValue): number =>
  labels['le'] === '+Inf' ? Infinity : Number(labels['le']);

/** prom-client keeps the last exemplar of a bucket: each leaves once. */
function toExemplar(exemplar: FamilyValue['exemplar'], since: number): Exemplar[] {
  const traceId = exemplar?.labelSet['trace_id'];
  if (!exemplar || typeof traceId !== 'string' || exemplar.timestamp * 1_000 < since) return [];
  return [{ timeUnixNano: toNanoseconds(exemplar.timestamp * 1_000), asDouble: exemplar.value, traceId }];
}
