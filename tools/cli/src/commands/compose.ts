import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readWorkspaceConfig } from '@jogakbo/contract/workspace';
import { buildComposeFile } from '../compose/compose-file.ts';
import { listApps, root } from '../workspace.ts';

export interface ComposeOptions {
  write?: boolean;
}

/** Prints the compose file of the workspace, or writes it to docker-compose.yml. */
export async function compose({ write }: ComposeOptions): Promise<number> {
  const text = buildComposeFile(listApps(), await readWorkspaceConfig(root));
  if (write) {
    writeFileSync(join(root, 'docker-compose.yml'), text);
    console.log('wrote docker-compose.yml');
  } else {
    process.stdout.write(text);
  }
  return 0;
}
