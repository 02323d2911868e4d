import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readWorkspaceConfig } from '@jogakbo/contract/workspace';
import { codeOwnersFile, renderCodeOwners } from '../owners/code-owners.ts';
import { listApps, root } from '../workspace.ts';

export interface OwnersOptions {
  write?: boolean;
}

/** Prints the file CODEOWNERS, or writes it. */
export async function owners({ write }: OwnersOptions): Promise<number> {
  const text = renderCodeOwners(listApps(), await readWorkspaceConfig(root), root);
  if (write) {
    writeFileSync(join(root, codeOwnersFile), text);
    console.log(`wrote ${codeOwnersFile}`);
  } else {
    process.stdout.write(text);
  }
  return 0;
}
