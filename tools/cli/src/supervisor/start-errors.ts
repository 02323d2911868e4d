import { CliError } from '../terminal/cli-error.ts';
import { renderLine } from '../terminal/log-line.ts';
import { type EarlyExit, wrongSettings } from './service-process.ts';

/** Every wrong key of every service, on one screen. */
export function wrongSettingsFault(found: { service: string; complaints: string[] }[]): CliError {
  return new CliError(
    `The settings of ${found.map(({ service }) => service).join(', ')} are wrong, so nothing was started.`,
    {
      details: found.flatMap(({ service, complaints }) =>
        complaints
          .filter((line) => line.trim())
          .map((line) => (found.length > 1 ? `${service}: ${line}` : line)),
      ),
      remedies: ['correct or unset these settings where they come from, and start again'],
    },
  );
}

/** What to show when services did not become ready. */
export function faultOfEarlyEnds(ends: EarlyExit[], logs: string): CliError {
  const wrong = ends.filter((end) => end.code === wrongSettings);
  if (wrong.length) return wrongSettingsFault(wrong);
  const [first] = ends as [EarlyExit];
  return new CliError(`${first.message}.`, {
    details: first.lastLines.map((line) => renderLine(line, false)),
    remedies: [`read the whole log:  npx jogakbo logs ${first.service}   (${logs}/${first.service}.log)`],
  });
}
