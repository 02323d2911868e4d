import type { Deployment } from '../deployment/deployments.ts';
import { openEnvironment } from '../deployment/environment.ts';
import { toPrintable, toPrintableJson } from '../terminal/printable.ts';
import { formatTable } from '../terminal/text-table.ts';

export interface HistoryOptions {
  environment?: string;
  json?: boolean;
  limit?: string;
}

const formatTime = (time: string): string => time.slice(0, 19).replace('T', ' ');

function formatDeployment({
  service,
  to,
  startedAt,
  endedAt,
  by,
  outcome,
  detail,
  reason,
}: Deployment): string[] {
  const seconds = endedAt ? ((Date.parse(endedAt) - Date.parse(startedAt)) / 1_000).toFixed(1) : '';
  return [formatTime(startedAt), service, to, outcome, seconds && `${seconds} s`, by, detail ?? reason];
}

/** `jogakbo history`: shows what was deployed when, the newest first. */
export async function history(service: string | undefined, options: HistoryOptions): Promise<number> {
  const environment = await openEnvironment(options.environment);
  showHistory(await environment.history.read(), service, options);
  return 0;
}

function showHistory(
  deployments: readonly Deployment[],
  service: string | undefined,
  { json, limit = '20' }: HistoryOptions,
): void {
  const all = deployments.filter((one) => !service || one.service === service);
  const shown = all.reverse().slice(0, Number(limit) || undefined);
  if (json) return console.log(toPrintableJson(shown));
  if (shown.length === 0) return console.log('Nothing was deployed yet.');
  const head = ['time (UTC)', 'service', 'version', 'outcome', 'took', 'by', 'reason'];
  const lines = formatTable([head, ...shown.map(formatDeployment)]);
  console.log(lines.map(toPrintable).join('\n'));
}
