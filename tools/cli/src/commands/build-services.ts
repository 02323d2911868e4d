import { build } from '../supervisor/build.ts';
import { CliError } from '../terminal/cli-error.ts';
import { onSignals } from '../terminal/signals.ts';

/** Builds the services that have changed. Reports on stderr, so that stdout contains only what the command prints. */
export async function buildServices(): Promise<void> {
  const abort = new AbortController();
  const release = onSignals(() => abort.abort(new CliError('The build was interrupted.')));
  try {
    await build(undefined, (text) => console.error(text), abort.signal);
  } finally {
    release();
  }
}
