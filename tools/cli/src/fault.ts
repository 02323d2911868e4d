/** Something the user can mend: shown as one screen that says what is wrong and what to do, never as a stack trace. */
export class Fault extends Error {
  readonly details: readonly string[];
  readonly remedies: readonly string[];

  constructor(
    title: string,
    { details = [], remedies = [] }: { details?: string[]; remedies?: string[] } = {},
  ) {
    super(title);
    this.name = 'Fault';
    this.details = details;
    this.remedies = remedies;
  }
}

/** A wrong command line: exit code 2. */
export class UsageFault extends Fault {}

export function screenOf(fault: Fault): string {
  const lines = ['', fault.message];
  if (fault.details.length) lines.push('', ...fault.details.map((line) => `  ${line}`));
  if (fault.remedies.length) lines.push('', 'What to do:', ...fault.remedies.map((line) => `  - ${line}`));
  return [...lines, ''].join('\n');
}

export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length) return messageOf(error.errors[0]);
  return error instanceof Error ? error.message || error.name : String(error);
}
