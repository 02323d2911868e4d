import { execFile, execFileSync } from 'node:child_process';
import { cpSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { root } from '@jogakbo/cli/src/workspace.ts';
import { type Outcome } from './jogakbo.ts';
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

  /** Runs Nx in the copy. */
  runNx(...args: string[]): Promise<Outcome> {
    return new Promise((resolve) => {
      const nx = join(this.workspace, 'node_modules', '.bin', 'nx');
      const env = { ...process.env, NX_DAEMON: 'false', NX_TUI: 'false', NO_COLOR: '1' };
      execFile(nx, args, { cwd: this.workspace, env, encoding: 'utf8' }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code ?? 1) : 0, output: stdout + stderr }),
      );
    });
  }

  /** The files of the copy and their contents, without generated ones. */
  listFiles(): Record<string, string> {
    const paths = globSync('{apps,libs,tools,deploy,docs}/**/*', {
      cwd: this.workspace,
      withFileTypes: true,
      exclude: (entry) => generated.has(entry.name),
    });
    const files = paths.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    const roots = ['package-lock.json', 'docker-compose.yml'].map((file) => join(this.workspace, file));
    return Object.fromEntries([...files, ...roots].map((file) => [file, readFileSync(file, 'utf8')]));
  }

  /** Restores a file of the copy. */
  restore(file: string): void {
    cpSync(join(root, file), join(this.workspace, file));
  }
}
