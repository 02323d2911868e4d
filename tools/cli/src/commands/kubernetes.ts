import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkObjects } from '@jogakbo/delivery/src/kubernetes/check/check-objects.ts';
import {
  type WorkspaceDeclaration,
  WrongDeclaration,
} from '@jogakbo/delivery/src/kubernetes/declarations.ts';
import { kubernetesFolder, renderFiles, writeFiles } from '@jogakbo/delivery/src/kubernetes/files.ts';
import { buildLocalSecrets } from '@jogakbo/delivery/src/kubernetes/local-secrets.ts';
import { findKubectlProblem, listOverlays, renderOverlay } from '@jogakbo/delivery/src/kubernetes/render.ts';
import { stringify } from 'yaml';
import { readWorkspaceDeclaration, readWorkspaceVersion } from '../kubernetes-declaration.ts';
import { CliError, toMessage, UsageError } from '../terminal/cli-error.ts';
import { nodePath, root } from '../workspace.ts';
import { buildServices } from './build-services.ts';

export interface KubernetesOptions {
  write?: boolean;
  /** False to use the builds that exist. */
  build?: boolean;
}

/** Reads the declarations, after a build of what has changed. */
async function readDeclaration(): Promise<WorkspaceDeclaration> {
  await buildServices();
  return readWorkspaceDeclaration();
}

/** Prints the objects of the base, or writes the generated files of deploy/kubernetes. */
export async function showObjects({ write, build = true }: KubernetesOptions): Promise<number> {
  const files = renderOrExplain(await (build ? readDeclaration() : readWorkspaceDeclaration()));
  if (!write) {
    const base = Object.keys(files).filter((path) => /^base\/(?!kustomization)/.test(path));
    process.stdout.write(base.map((path) => files[path]).join('---\n'));
    return 0;
  }
  const removed = writeFiles(root, files);
  for (const path of Object.keys(files)) console.log(`wrote ${kubernetesFolder}/${path}`);
  for (const path of removed) console.log(`removed ${kubernetesFolder}/${path}`);
  return 0;
}

function renderOrExplain(declaration: WorkspaceDeclaration): Record<string, string> {
  try {
    return renderFiles(declaration, readWorkspaceVersion());
  } catch (error) {
    if (!(error instanceof WrongDeclaration)) throw error;
    throw new CliError('The declarations of the services contradict each other.', {
      details: error.message.split('\n'),
    });
  }
}

/** @param overlay only this one */
export async function checkOverlays(overlay: string | undefined): Promise<number> {
  const known = listOverlays(root);
  if (overlay !== undefined && !known.includes(overlay))
    throw new UsageError(`There is no overlay ${overlay}.`, {
      remedies: [`use one of: ${known.join(', ')}`],
    });
  const reason = findKubectlProblem();
  if (reason)
    throw new CliError(`The overlays cannot be rendered: ${reason}.`, {
      remedies: ['install a current kubectl: https://kubernetes.io/docs/tasks/tools/'],
    });
  const declaration = await readDeclaration();
  let count = 0;
  for (const name of overlay === undefined ? known : [overlay]) {
    const problems = await checkOverlay(name, declaration);
    count += problems.length;
    for (const problem of problems) console.log(`${name}: ${problem}`);
  }
  if (count === 0) return 0;
  console.log(`${count} problem${count === 1 ? '' : 's'}`);
  return 1;
}

async function checkOverlay(name: string, declaration: WorkspaceDeclaration): Promise<string[]> {
  try {
    const objects = await renderOverlay(join(root, kubernetesFolder, 'overlays', name));
    const problems = await checkObjects(objects, declaration, listOutsideSecrets(name, declaration));
    if (problems.length === 0) console.log(`${name}: ${objects.length} objects, no problem`);
    return problems;
  } catch (error) {
    return [`cannot be rendered: ${toMessage(error)}`];
  }
}

/** The Secrets of the development overlay are applied apart from it: `jogakbo kubernetes secrets`. */
const listOutsideSecrets = (overlay: string, declaration: WorkspaceDeclaration) =>
  overlay === 'development' ? buildLocalSecrets(declaration, () => '') : [];

/** Prints the Secrets for the development overlay. Their values stay the same in later calls. */
export async function printSecrets(): Promise<number> {
  const declaration = await readDeclaration();
  const { status, stdout, stderr } = spawnSync(nodePath(), ['deploy/compose-secrets.mjs'], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0)
    throw new CliError('The secrets cannot be created.', { details: stderr.trim().split('\n') });
  console.error(stdout.trim());
  const secrets = buildLocalSecrets(declaration, readLocalSecret);
  process.stdout.write(secrets.map((secret) => stringify(secret, { lineWidth: 0 })).join('---\n'));
  return 0;
}

/** Reads what deploy/compose-secrets.mjs has written for containers. */
function readLocalSecret(name: string): string {
  const file = join('.jogakbo', 'compose-secrets', name.toLowerCase());
  try {
    return readFileSync(join(root, file), 'utf8');
  } catch (error) {
    throw new CliError(`${file} cannot be read: ${toMessage(error)}.`, {
      remedies: ['node deploy/compose-secrets.mjs'],
    });
  }
}
