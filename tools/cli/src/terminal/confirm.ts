import { createInterface } from 'node:readline/promises';
import { UsageError } from './cli-error.ts';

/** Asks on the terminal. Ctrl-C and Ctrl-D mean no. @throws UsageError without a terminal, unless `yes` is set */
export async function confirm(
  question: string,
  yes: boolean | undefined,
  input: NodeJS.ReadStream = process.stdin,
  output: NodeJS.WritableStream = process.stdout,
): Promise<boolean> {
  if (yes) return true;
  if (!input.isTTY) {
    throw new UsageError(`${question} Confirmation needs a terminal.`, {
      remedies: ['confirm without a terminal:  --yes'],
    });
  }
  const terminal = createInterface({ input, output, terminal: true });
  const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('')));
  try {
    const answered = terminal.question(`${question} [y/N] `).catch(() => '');
    const answer = await Promise.race([answered, closed]);
    if (!answer) output.write('\n');
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}

/** @throws UsageError unless it is a number greater than 0 */
export function parseRate(text: string): number {
  const rate = Number(text);
  if (rate > 0) return rate;
  throw new UsageError(`--rate ${text} is not a number of messages per second.`, {
    remedies: ['for example:  --rate 50'],
  });
}
