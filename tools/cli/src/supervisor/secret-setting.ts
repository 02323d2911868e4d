import { readSetting } from '@jogakbo/service/environment';
import { CliError } from '../terminal/cli-error.ts';

/** Reads a secret from an environment variable or from the file that <NAME>_FILE names. @throws CliError if it is invalid */
export function readSecretSetting(name: string): string | undefined {
  const read = readSetting(name, process.env, true);
  if ('problem' in read) throw new CliError(`${name} (${read.origin}): ${read.problem}.`);
  return read.value;
}
