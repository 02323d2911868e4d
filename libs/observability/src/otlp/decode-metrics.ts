import { MetricsRequest } from './schema.ts';
import {
  type Attributes,
  listRecords,
  toList,
  maxEntries,
  type Origin,
  type OtlpEncoding,
  readRequest,
  toAttributes,
  toId,
  toMilliseconds,
  toNumber,
  toText,
  type WireAttribute,
  type WireId,
  type WireNumber,
} from './wire.ts';

/** A measured value with the trace in which it was measured. */
export interface Exemplar {
  value: number;
  /** Milliseconds since 1970, with fractions. */
  time: number;
  /** 32 hexadecimal digits. */
  traceId: string;
}

/** One point of one series as an exporter sent it. */
export interface ReceivedPoint extends Origin {
  metric: string;
  description: string;
  /** In UCUM's notation, such as `s` or `By`; empty if unknown. */
  unit: string;
  /** A counter never decreases while its instance lives. */
  kind: 'gauge' | 'counter' | 'histogram';
  /** True if the point counts since the previous point, false if since the start of the instance. */
  isDelta: boolean;
  /** Milliseconds since 1970, with fractions. */
  time: number;
  attributes: Attributes;
  /** The value of a gauge or counter, the sum of a histogram. */
  value: number;
  /** Histograms only: upper bounds, and the number of values in each bucket; the last bucket has no bound. Empty if unknown. */
  buckets?: { bounds: number[]; counts: number[] };
  exemplars: Exemplar[];
}

export interface ReceivedMetrics {
  points: ReceivedPoint[];
  /** Points without a name, time or number, and points of kinds that are not supported: summaries, exponential histograms. */
  rejected: number;
}

interface WireExemplar {
  timeUnixNano?: WireNumber;
  asDouble?: WireNumber;
  asInt?: WireNumber;
  traceId?: WireId;
}
interface WirePoint {
  timeUnixNano?: WireNumber;
  asDouble?: WireNumber;
  asInt?: WireNumber;
  sum?: WireNumber;
  bucketCounts?: WireNumber[];
  explicitBounds?: WireNumber[];
  exemplars?: WireExemplar[];
  attributes?: WireAttribute[];
}
interface WireData {
  dataPoints?: WirePoint[];
  aggregationTemporality?: number | string;
  isMonotonic?: boolean;
}
interface WireMetric {
  name?: string;
  description?: string;
  unit?: string;
  gauge?: WireData;
  sum?: WireData;
  histogram?: WireData;
  summary?: WireData;
  exponentialHistogram?: WireData;
}
/**
 * Decodes an export of OTLP over HTTP. Trusts nothing: times and numbers are checked, texts and lists are cut.
 * @throws UnreadableTelemetry
 */
export function decodeMetrics(body: Buffer, encoding: OtlpEncoding): ReceivedMetrics {
  const request = readRequest(body, encoding, MetricsRequest);
  const received: ReceivedMetrics = { points: [], rejected: 0 };
  const fields = ['resourceMetrics', 'scopeMetrics', 'metrics'] as const;
  for (const { record, origin } of listRecords<WireMetric>(request, fields))
    addPoints(received, record, origin);
  return received;
}

function addPoints(received: ReceivedMetrics, metric: WireMetric, origin: Origin): void {
  const { gauge, sum, histogram, summary, exponentialHistogram } = metric;
  const data = gauge ?? sum ?? histogram ?? summary ?? exponentialHistogram;
  const points = toList(data?.dataPoints);
  const name = toText(metric.name);
  if (!name || data === summary || data === exponentialHistogram) {
    received.rejected += points.length;
    return;
  }
  const described = {
    ...origin,
    metric: name,
    description: toText(metric.description),
    unit: toText(metric.unit),
    kind: histogram ? 'histogram' : sum?.isMonotonic ? 'counter' : 'gauge',
    isDelta: [1, 'AGGREGATION_TEMPORALITY_DELTA'].includes(data?.aggregationTemporality ?? 0),
  } as const;
  for (const wire of points) {
    const time = toMilliseconds(wire.timeUnixNano);
    const value = readValue(wire, described.kind);
    const buckets = histogram && readBuckets(wire);
    if (time === undefined || value === undefined || (histogram && !buckets)) received.rejected += 1;
    else
      received.points.push({
        ...described,
        time,
        attributes: toAttributes(wire.attributes),
        value,
        ...(buckets && { buckets }),
        exemplars: toList(wire.exemplars).slice(0, maxEntries).flatMap(readExemplar),
      });
  }
}

/** Decoded messages inherit the defaults of the fields that are not set: only their own fields count. */
function readValue(wire: WirePoint, kind: ReceivedPoint['kind']): number | undefined {
  if (kind === 'histogram') return toNumber(wire.sum) ?? 0;
  return toNumber(Object.hasOwn(wire, 'asDouble') ? wire.asDouble : wire.asInt);
}

function readBuckets({ bucketCounts, explicitBounds }: WirePoint): ReceivedPoint['buckets'] {
  const read = (list: WireNumber[] | undefined) => (Array.isArray(list) ? list.map(toNumber) : []);
  const counts = read(bucketCounts);
  const bounds = read(explicitBounds);
  const isValid =
    (counts.length === bounds.length + 1 || counts.length + bounds.length === 0) &&
    counts.length <= maxEntries &&
    counts.every((count) => count !== undefined && count >= 0) &&
    bounds.every((bound, index) => bound !== undefined && (index === 0 || bound > bounds[index - 1]!));
  return isValid ? ({ counts, bounds } as { counts: number[]; bounds: number[] }) : undefined;
}

function readExemplar(wire: WireExemplar): Exemplar[] {
  const time = toMilliseconds(wire.timeUnixNano);
  const value = toNumber(Object.hasOwn(wire, 'asDouble') ? wire.asDouble : wire.asInt);
  const traceId = toId(wire.traceId, 32);
  return time !== undefined && value !== undefined && traceId ? [{ time, value, traceId }] : [];
}
