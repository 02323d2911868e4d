import { inspect } from 'node:util';
import { DeliveryError } from '@jogakbo/delivery/src/delivery-error.ts';
import { parseMissingPackage } from '../supervisor/packages.ts';
import { CliError, formatCliError, UsageError } from '../terminal/cli-error.ts';
import { toPrintableLines } from '../terminal/printable.ts';

/**
 * Runs one command line and prints its error.
 * @returns the exit code: 0 done, 1 failed, 2 invalid command line; commands may return others, such as 130 after Ctrl-C
 */
export async function runCommandLine(args: string[]): Promise<number> {
  try {
    // Imported here, so that a missing package is reported like any other error.
    const { createProgram } = await import('./program.ts');
    await createProgram().parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    const { code, exitCode } = error as { code?: unknown; exitCode?: number };
    // The help and the version are already printed.
    if (typeof code === 'string' && code.startsWith('commander.')) return exitCode ? 2 : 0;
    return reportError(error);
  }
}

function reportError(error: unknown): number {
  const reported = toCliError(error) ?? error;
  console.error(
    reported instanceof CliError ? formatCliError(reported) : toPrintableLines(inspect(reported)),
  );
  return reported instanceof UsageError ? 2 : 1;
}

function toCliError(error: unknown): CliError | undefined {
  if (error instanceof DeliveryError) {
    const { message, details, remedies } = error;
    return new CliError(message, { details: [...details], remedies: [...remedies] });
  }
  const missing = parseMissingPackage(error);
  if (!missing) return undefined;
  return new CliError(`The package ${missing} is not installed.`, {
    remedies: ['install the packages of package-lock.json:  npm ci'],
  });
}
