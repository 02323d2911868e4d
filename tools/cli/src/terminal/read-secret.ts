import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { UsageError } from './cli-error.ts';

/**
 * Reads a line of standard input. On a terminal, prompts for it without echo.
 * @param name of the secret
 * @throws UsageError if the input ends without a line, or the line is empty
 */
export async function readSecret(name: string, input: NodeJS.ReadStream = process.stdin): Promise<string> {
  const isTerminal = input.isTTY === true;
  if (isTerminal) process.stderr.write(`${name}: `);
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: mute, terminal: isTerminal });
  try {
    // Ends without a line after Ctrl-C, Ctrl-D or an empty input.
    for await (const line of lines) if (line) return line;
  } finally {
    lines.close();
    if (isTerminal) process.stderr.write('\n');
  }
  throw new UsageError(`No value was entered for ${name}. Nothing was changed.`, {
    remedies: ['enter it, or write it to standard input', `to set an empty value:  ${name}=`],
  });
}
