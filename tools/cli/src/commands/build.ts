import { relative, resolve } from 'node:path';
import { writeArtefact } from '@jogakbo/delivery/src/artefact.ts';
import { WorkspaceContents } from '@jogakbo/delivery/src/content.ts';
import { build } from '../supervisor/build.ts';
import { checkPackages, refuseIfFailed } from '../supervisor/checks.ts';
import { selectApps } from '../supervisor/start-options.ts';
import { CliError } from '../terminal/cli-error.ts';
import { onSignals } from '../terminal/signals.ts';
import { root } from '../workspace.ts';

export interface BuildOptions {
  out: string;
}

/** `jogakbo build`. */
export async function buildArtefacts(names: string[], { out }: BuildOptions): Promise<number> {
  const services = selectApps(names.length > 0 ? names : undefined).map(({ name }) => name);
  refuseIfFailed([checkPackages('all')]);
  const stopped = new AbortController();
  const ignoreSignals = onSignals(() => stopped.abort());
  try {
    const before = readHashes(services);
    console.log(await build(services, (text) => console.log(text), stopped.signal));
    const workspace = new WorkspaceContents(root);
    if (readHashes(services) !== before)
      throw new CliError('The sources have changed during the build.', { remedies: ['build them again'] });
    for (const service of services) {
      if (stopped.signal.aborted) break;
      const folder = resolve(out, service);
      const { version } = writeArtefact(workspace, service, folder);
      console.log(`${service} ${version}  ${relative(process.cwd(), folder)}`);
    }
  } catch (error) {
    if (!stopped.signal.aborted) throw error;
  } finally {
    ignoreSignals();
  }
  return stopped.signal.aborted ? 130 : 0;
}

function readHashes(services: readonly string[]): string {
  const workspace = new WorkspaceContents(root);
  return services.map((service) => workspace.readService(service).hash).join();
}
