import { createInterface } from 'node:readline/promises';
import { UsageError } from './cli-error.ts';

/** Asks on the terminal. @throws UsageFault where nobody can answer and `yes` was not said beforehand */
export async function confirm(question: string, yes: boolean | undefined): Promise<boolean> {
  if (yes) return true;
  if (!process.stdin.isTTY) {
    throw new UsageError(`${question} Nobody can be asked: this is no terminal.`, {
      remedies: ['say it beforehand:  --yes'],
    });
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

/** @throws UsageFault where it is not a number above 0 */
export function parseRate(text: string | undefined, otherwise: number): number {
  const rate = Number(text ?? otherwise);
  if (rate > 0) return rate;
  throw new UsageError(`--rate ${text} is not a number of messages a second.`, {
    remedies: [`for example:  --rate ${otherwise}`],
  });
}
