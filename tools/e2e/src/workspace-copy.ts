import { execFileSync } from 'node:child_process';
import { cpSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { root } from '@jogakbo/cli/src/workspace.ts';
import { Store } from './store.ts';

const generated = new Set(['node_modules', 'dist', '.git', '.jogakbo', '.nx', 'coverage']);

/** A store in a copy of this workspace, whose sources a test may change. */
export class CopiedStore extends Store {
  protected override readonly workspace = join(this.folder, 'workspace');

  override async make(): Promise<void> {
    await super.make();
    const filter = (path: string) => path === root || !generated.has(basename(path));
    cpSync(root, this.workspace, { recursive: true, filter });
    // Links instead of copies of the packages. Those to folders of the workspace are relative, so they lead to the copy.
    const links = process.platform === 'linux' ? ['-al'] : ['-R'];
    const packages = globSync('{.,{apps,libs,tools}/*}/node_modules', { cwd: root });
    for (const folder of packages)
      execFileSync('cp', [...links, join(root, folder), join(this.workspace, folder)]);
  }

  override spawn(args: string[], env: NodeJS.ProcessEnv = {}): ReturnType<Store['spawn']> {
    // What this workspace has built needs no second build.
    return super.spawn(args, {
      NX_CACHE_DIRECTORY: process.env.NX_CACHE_DIRECTORY ?? join(root, '.nx', 'cache'),
      ...env,
    });
  }

  /** Replaces text in a file of the copy. @throws Error unless it occurs exactly once */
  edit(file: string, find: string, replace: string): void {
    const path = join(this.workspace, file);
    const text = readFileSync(path, 'utf8');
    if (text.split(find).length !== 2) throw new Error(`${file} does not contain this text once: ${find}`);
    writeFileSync(
      path,
      text.replace(find, () => replace),
    );
  }

  /** Restores a file of the copy. */
  restore(file: string): void {
    cpSync(join(root, file), join(this.workspace, file));
  }
}
