import { CliError } from '../terminal/cli-error.ts';
import { denseName } from './dense-mode.ts';
import { renderLine } from '../terminal/log-line.ts';
import { type EarlyExit, settingsErrorCode } from './service-process.ts';

/** Reports all invalid settings of all services in one error. */
export function createSettingsError(found: { service: string; errorLines: string[] }[]): CliError {
  return new CliError(
    `The settings of ${found.map(({ service }) => (service === denseName ? 'some services' : service)).join(', ')} are invalid. The store was stopped.`,
    {
      details: found.flatMap(({ service, errorLines }) =>
        errorLines
          .filter((line) => line.trim())
          .map((line) => (found.length > 1 ? `${service}: ${line}` : line)),
      ),
      remedies: ['correct or unset these settings at their source, and start again'],
    },
  );
}

/** The error to show when services did not become ready. */
export function toStartError(ends: EarlyExit[], logs: string): CliError {
  const wrong = ends.filter((end) => end.code === settingsErrorCode);
  if (wrong.length) return createSettingsError(wrong);
  const [first] = ends as [EarlyExit];
  return new CliError(`${first.message}.`, {
    details: first.lastLines.map((line) => renderLine(line, false)),
    remedies: [`read the whole log:  npx jogakbo logs ${first.service}   (${logs}/${first.service}.log)`],
  });
}
