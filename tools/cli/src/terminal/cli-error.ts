import { toPrintable } from './printable.ts';

/** An error that the user can fix: printed with its cause and remedies, without a stack trace. */
export class CliError extends Error {
  readonly details: readonly string[];
  readonly remedies: readonly string[];

  constructor(
    title: string,
    { details = [], remedies = [] }: { details?: string[]; remedies?: string[] } = {},
  ) {
    super(title);
    this.name = 'CliError';
    this.details = details;
    this.remedies = remedies;
  }
}

/** An invalid command line: exit code 2. */
export class UsageError extends CliError {}

export function formatCliError(fault: CliError): string {
  const lines = ['', toPrintable(fault.message)];
  const [details, remedies] = [fault.details, fault.remedies].map((all) => all.map(toPrintable));
  if (details!.length) lines.push('', ...details!.map((line) => `  ${line}`));
  if (remedies!.length) lines.push('', 'What to do:', ...remedies!.map((line) => `  - ${line}`));
  return [...lines, ''].join('\n');
}

export function toMessage(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length) return toMessage(error.errors[0]);
  return error instanceof Error ? error.message || error.name : String(error);
}
