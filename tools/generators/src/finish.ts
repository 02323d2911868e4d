import { writeDerivedFiles } from './derived-files.ts';
import { installProjects } from './workspace-packages.ts';

/**
 * Completes a generator after its files are written: links new projects, and derives docs and docker-compose.yml again.
 * @param root of the workspace
 * @param projects folders of new projects, and of those with new dependencies
 * @param next what the developer does next, in lines
 */
export async function finish(
  root: string,
  projects: readonly string[],
  next: readonly string[],
): Promise<void> {
  installProjects(root, projects);
  const failed = await writeDerivedFiles(root);
  if (failed.length > 0)
    console.error(
      ['', 'The files are written, but these could not be derived from them:', ...failed].join('\n'),
    );
  console.log(['', ...next].join('\n'));
}
