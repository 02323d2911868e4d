import { join } from 'node:path';
import type { DeclaredEnvironment, WorkspaceConfig } from '@jogakbo/contract/workspace';
import type { Artefact } from '@jogakbo/delivery/src/artefact.ts';
import { ComposeProject } from '@jogakbo/delivery/src/engines/compose-project.ts';
import { ComposeVersions } from '@jogakbo/delivery/src/engines/compose-versions.ts';
import { DockerEngine } from '@jogakbo/delivery/src/engines/docker-engine.ts';
import type { Release } from '@jogakbo/delivery/src/engine.ts';
import type { RunningVersion } from '@jogakbo/delivery/src/plan.ts';
import { openState } from '../supervisor/state.ts';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { listApps, root } from '../workspace.ts';
import { lockDeployments, openHistory } from './deployments.ts';
import type { Environment } from './environment.ts';
import { createShift } from './remote-gateway.ts';

type Declared = Extract<DeclaredEnvironment, { engine: 'docker' }>;

const composeFile = 'docker-compose.yml';
/** Where an image has the description of its artefact: deploy/Dockerfile. */
const artefactPath = '/workspace/artefact.json';

/** The containers of docker-compose.yml. Its versions and its history are in the state folder of this machine. */
export function openDockerEnvironment(
  name: string,
  { url, context, project = undefined }: Declared,
  facts: WorkspaceConfig,
): Environment {
  const state = openState(join(openState().folder, 'environments', name));
  const getImage = ({ service, version }: Release) => `${facts.name}/${service}:${version}`;
  const path = join(root, composeFile);
  const versions = new ComposeVersions(state.folder, path, getImage);
  const files = [path, versions.file];
  const containers = new ComposeProject({ project: project ?? facts.name, files, context });
  return {
    name,
    history: openHistory(state),
    gateway: url === undefined ? undefined : { url },
    undoesItself: false,
    watchSeconds: 10,
    async assertReady() {
      try {
        await containers.docker('version', '--format', '{{.Server.Version}}');
        await containers.compose('version');
      } catch (error) {
        throw new CliError(`The environment ${name} cannot be reached; nothing was changed.`, {
          details: [toMessage(error)],
          remedies: ['docker version', 'docker compose version'],
        });
      }
    },
    async readRunning() {
      const services = listApps().map((app) => app.name);
      const running = await Promise.all(services.map((service) => readVersion(containers, service)));
      return new Map(running.flatMap((one) => (one ? [[one.service, one]] : [])));
    },
    lock: (waitMs) => lockDeployments(state, waitMs),
    async prepare(contents) {
      for (const release of contents) await buildImage(containers, release, getImage(release));
    },
    findMissing: async (release) =>
      (await hasImage(containers, getImage(release)))
        ? undefined
        : `the image ${getImage(release)} does not exist`,
    getMemory: ({ service }) => listApps().find((app) => app.name === service)?.manifest.memory,
    open: (work) =>
      work(new DockerEngine({ environment: name, project: containers, versions, shift: createShift(url) })),
    async scale(service, count) {
      const scale = ['--scale', `${service}=${count}`];
      await containers.compose(
        'up',
        '--detach',
        '--no-deps',
        '--no-build',
        '--no-recreate',
        ...scale,
        service,
      );
      return 'until it is scaled again';
    },
  };
}

/** The current version of a service, by its label or by the artefact in its image. */
async function readVersion(project: ComposeProject, service: string): Promise<RunningVersion | undefined> {
  const current = (await project.listContainers(service)).find((one) => !one.isCandidate && one.isRunning);
  if (!current) return undefined;
  const text = await project.execute(current.id, 'cat', artefactPath);
  const artefact = text === undefined ? undefined : (JSON.parse(text) as Artefact);
  const version = current.version ?? artefact?.version ?? '';
  return { service, version, ...(artefact && { parts: artefact.parts }) };
}

const hasImage = async (project: ComposeProject, image: string): Promise<boolean> =>
  (await project.docker('image', 'ls', '--quiet', image)).trim() !== '';

async function buildImage(project: ComposeProject, { service }: Release, image: string): Promise<void> {
  if (await hasImage(project, image)) return;
  const args = ['--build-arg', `SERVICE=${service}`, '--build-arg', 'SOURCE_DATE_EPOCH=0'];
  await project.docker('build', '--file', join(root, 'deploy/Dockerfile'), ...args, '--tag', image, root);
}
