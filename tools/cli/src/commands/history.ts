import { type Deployment, readDeployments } from '../deployment/deployments.ts';
import { openState } from '../supervisor/state.ts';
import { toPrintable, toPrintableJson } from '../terminal/printable.ts';
import { formatTable } from '../terminal/text-table.ts';

export interface HistoryOptions {
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
export async function history(
  service: string | undefined,
  { json, limit = '20' }: HistoryOptions,
): Promise<number> {
  const all = readDeployments(openState()).filter((one) => !service || one.service === service);
  const shown = all.reverse().slice(0, Number(limit) || undefined);
  if (json) console.log(toPrintableJson(shown));
  else if (shown.length === 0) console.log('Nothing was deployed yet.');
  else {
    const head = ['time (UTC)', 'service', 'version', 'outcome', 'took', 'by', 'reason'];
    console.log(
      formatTable([head, ...shown.map(formatDeployment)])
        .map(toPrintable)
        .join('\n'),
    );
  }
  return 0;
}
