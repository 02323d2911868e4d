import { join } from 'node:path';
import { readArtefact } from '@jogakbo/delivery/src/artefact.ts';
import { WorkspaceContents } from '@jogakbo/delivery/src/content.ts';
import { removeLightArtefacts, writeLightArtefact } from '@jogakbo/delivery/src/light-artefact.ts';
import type { RunningVersion } from '@jogakbo/delivery/src/plan.ts';
import { root } from '../workspace.ts';
import { type LocalRelease } from '../supervisor/control-socket.ts';
import { listRecentVersions, readDeployments } from './deployments.ts';
import { readRun } from '../supervisor/run-record.ts';
import { type StateFolder } from '../supervisor/state.ts';

/** Earlier versions whose artefacts are kept for a rollback, per service. */
const keptVersions = 5;

const getArtefactsFolder = ({ folder }: StateFolder): string => join(folder, 'artefacts');

/** The folder with the artefact of a version. */
export const getReleaseFolder = (
  state: StateFolder,
  { service, version }: Pick<LocalRelease, 'service' | 'version'>,
): string => join(getArtefactsFolder(state), service, version);

/**
 * Keeps the artefacts of built services, so that their versions can run whatever happens to the workspace. Removes those of
 * old versions.
 */
export function keepReleases(state: StateFolder, services: readonly string[]): LocalRelease[] {
  const workspace = new WorkspaceContents(root);
  const artefacts = getArtefactsFolder(state);
  const kept = services.map((service) => {
    const folder = writeLightArtefact(workspace, service, artefacts);
    return { service, version: workspace.readService(service).version, folder };
  });
  const running = readRun(state)?.services.map(({ name, version }) => `${name} ${version}`) ?? [];
  const all = readDeployments(state);
  removeLightArtefacts(
    root,
    artefacts,
    ({ service, version }) =>
      running.includes(`${service} ${version}`) ||
      kept.some((one) => one.service === service && one.version === version) ||
      listRecentVersions(all, service).slice(0, keptVersions).includes(version),
  );
  return kept;
}

/** The current version of each running service, with what it is built of. */
export function readRunningReleases(state: StateFolder): Map<string, RunningVersion> {
  const running = new Map<string, RunningVersion>();
  // The current version precedes a candidate.
  for (const { name, version = '' } of readRun(state)?.services ?? []) {
    if (running.has(name)) continue;
    const artefact = readArtefact(getReleaseFolder(state, { service: name, version }));
    running.set(name, { service: name, version, ...(artefact && { parts: artefact.parts }) });
  }
  return running;
}
