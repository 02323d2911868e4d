import { createInterface } from 'node:readline/promises';
import { UsageError } from './cli-error.ts';

/** Asks on the terminal. @throws UsageError without a terminal, unless `yes` is set */
export async function confirm(question: string, yes: boolean | undefined): Promise<boolean> {
  if (yes) return true;
  if (!process.stdin.isTTY) {
    throw new UsageError(`${question} Confirmation needs a terminal.`, {
      remedies: ['confirm without a terminal:  --yes'],
    });
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
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
