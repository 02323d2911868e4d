import type { Handled, Traffic } from './compare-versions.ts';

/** Histograms of what an instance handles: messages in each service, requests in the gateway. */
const histograms = ['messages_handled_seconds', 'http_requests_seconds'];
const sampleLine = /^(\w+?)_(bucket|count)\{(.*)\} (\S+)$/;
const labelPattern = /(\w+)="((?:[^"\\]|\\.)*)"/g;

type Labels = Record<string, string | undefined>;
type Result = 'ok' | 'rejected' | 'failed';

/** Messages that another instance handles count as not handled. */
function toResult({ outcome, status }: Labels): Result | undefined {
  if (status !== undefined) return status >= '500' ? 'failed' : status >= '400' ? 'rejected' : 'ok';
  if (outcome === 'ok') return 'ok';
  if (outcome === 'rejection') return 'rejected';
  return outcome === 'forwarded' || outcome === 'requeued' ? undefined : 'failed';
}

/** What the metrics of one process tell. */
export interface ProcessMetrics {
  version: string;
  /** When the process started: distinguishes processes with the same address. */
  startedAt: string;
  /** Bytes of its resident set; 0 if unknown. */
  memory: number;
  traffic: Traffic;
}

/**
 * Reads what a process has handled from its metrics, in Prometheus' text format. Other metrics and lines that it does not
 * understand are ignored.
 */
export function readMetrics(text: string): ProcessMetrics {
  const traffic: Traffic = new Map();
  const [, version = '', startedAt = ''] =
    /^process_start_time_seconds\{.*?version="([^"]*)".*?\} (\S+)$/m.exec(text) ?? [];
  const memory = Number(/^process_resident_memory_bytes\{.*?\} (\S+)$/m.exec(text)?.[1] ?? 0);
  for (const line of text.split('\n')) {
    const [, metric, part, labelText, value] = sampleLine.exec(line) ?? [];
    if (!metric || !histograms.includes(metric)) continue;
    const labels: Labels = Object.fromEntries(
      [...labelText!.matchAll(labelPattern)].map(([, name, quoted]) => [name, quoted]),
    );
    const result = toResult(labels);
    if (!result || labels.route?.startsWith('/health') || labels.route === '/metrics') continue;
    const name = labels.message ?? `${labels.method} ${labels.route}`;
    const handled: Handled = traffic.get(name) ?? {
      isCall: labels.kind === 'command' || labels.kind === 'query' || labels.status !== undefined,
      ok: 0,
      rejected: 0,
      failed: 0,
      buckets: [],
    };
    traffic.set(name, handled);
    if (part === 'count') handled[result] += Number(value);
    else addToBucket(handled, labels.le === '+Inf' ? Infinity : Number(labels.le), Number(value));
  }
  return { version, startedAt, memory, traffic };
}

function addToBucket({ buckets }: Handled, bound: number, count: number): void {
  const known = buckets.find(([one]) => one === bound);
  if (known) known[1] += count;
  else {
    buckets.push([bound, count]);
    buckets.sort(([a], [b]) => a - b);
  }
}
