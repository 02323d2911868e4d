import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { kubernetesFolder } from './files.ts';
import type { KubernetesObject } from './objects.ts';

/** The first kustomize with all features of the overlays: components, inline patches with label selectors. */
const minimumKustomize = [4, 5] as const;

/** Why `kubectl kustomize` cannot be used on this machine; undefined if it can. */
export function findKubectlProblem(): string | undefined {
  let output: string;
  try {
    output = execFileSync('kubectl', ['version', '--client', '--output=json'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT'
      ? 'kubectl is not installed'
      : `kubectl version failed: ${(error as Error).message}`;
  }
  // kubectl before 1.24 does not print the version of its kustomize, which is too old.
  const { kustomizeVersion = 'v0.0' } = JSON.parse(output) as { kustomizeVersion?: string };
  const [major = 0, minor = 0] = kustomizeVersion.slice(1).split('.').map(Number);
  const [wantedMajor, wantedMinor] = minimumKustomize;
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return undefined;
  return `the kustomize of kubectl is ${kustomizeVersion}, and the overlays need v${minimumKustomize.join('.')} or newer`;
}

/** The names of all overlays. */
export function listOverlays(workspace: string): string[] {
  const folder = join(workspace, kubernetesFolder, 'overlays');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => existsSync(join(folder, name, 'kustomization.yaml')));
}

/**
 * Renders an overlay with `kubectl kustomize`. Needs no cluster.
 * @param folder absolute path of a folder with a kustomization.yaml
 * @throws Error with kubectl's message
 */
export async function renderOverlay(folder: string): Promise<KubernetesObject[]> {
  try {
    const options = { maxBuffer: 64 * 1024 * 1024 };
    const { stdout } = await promisify(execFile)('kubectl', ['kustomize', folder], options);
    return parseObjects(stdout);
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new Error(stderr?.trim() || (error as Error).message, { cause: error });
  }
}

/** Parses manifests: YAML documents with one object each. @throws Error if it is not valid YAML */
export const parseObjects = (text: string): KubernetesObject[] =>
  parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw document.errors[0]!;
    return (document.toJS() as KubernetesObject | null) ?? [];
  });
