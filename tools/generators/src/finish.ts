import { writeDerivedFiles } from './derived-files.ts';
import { installProjects } from './workspace-packages.ts';

/** What a generator has written. */
export interface Written {
  /** Folders of new projects, and of those with new dependencies. */
  projects?: readonly string[];
  /** Services whose code has changed. */
  services: readonly string[];
}

/**
 * Completes a generator after its files are written: links new projects, and derives docs and docker-compose.yml again.
 * @param root of the workspace
 * @param next what the developer does next, in lines
 */
export async function finish(
  root: string,
  { projects = [], services }: Written,
  next: readonly string[],
): Promise<void> {
  installProjects(root, projects);
  const failed = await writeDerivedFiles(root, services);
  if (failed.length > 0)
    console.error(
      ['', 'The files are written, but these could not be derived from them:', ...failed].join('\n'),
    );
  console.log(['', ...next].join('\n'));
}
