import { join } from 'node:path';
import type { DeclaredEnvironment, WorkspaceConfig } from '@jogakbo/contract/workspace';
import { Cluster, kinds } from '@jogakbo/delivery/src/engines/cluster.ts';
import { type Deployment, toVersion } from '@jogakbo/delivery/src/engines/cluster-state.ts';
import { KubernetesEngine } from '@jogakbo/delivery/src/engines/kubernetes-engine.ts';
import type { Release } from '@jogakbo/delivery/src/engine.ts';
import { kubernetesFolder } from '@jogakbo/delivery/src/kubernetes/files.ts';
import { labelKeys, type KubernetesObject } from '@jogakbo/delivery/src/kubernetes/objects.ts';
import { findKubectlProblem, listOverlays, renderOverlay } from '@jogakbo/delivery/src/kubernetes/render.ts';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { listApps, root } from '../workspace.ts';
import { ClusterHistory } from './cluster-history.ts';
import { lockCluster } from './cluster-lock.ts';
import { scaleInCluster } from './cluster-scale.ts';
import type { Environment } from './environment.ts';
import { createShift } from './remote-gateway.ts';

type Declared = Extract<DeclaredEnvironment, { engine: 'kubernetes' }>;

/** A namespace of a Kubernetes cluster. */
export function openKubernetesEnvironment(
  name: string,
  { url, context, namespace, overlay, registry }: Declared,
  facts: WorkspaceConfig,
): Environment {
  const cluster = Cluster.find(namespace ?? facts.name, context);
  const history = new ClusterHistory(cluster, facts.name);
  const listDeployments = async () => {
    const labels = { [labelKeys.partOf]: facts.name, [labelKeys.component]: 'service' };
    const all = await cluster.list<Deployment>(kinds.deployment, labels);
    return all.filter(({ metadata }) => metadata.labels?.[labelKeys.candidate] === undefined);
  };
  const getImage = ({ service, version }: Release) => `${registry}/${service}:${version}`;
  return {
    name,
    history,
    gateway: url === undefined ? undefined : { url },
    undoesItself: false,
    watchSeconds: 30,
    async assertReady() {
      try {
        await listDeployments();
      } catch (error) {
        throw new CliError(`The environment ${name} cannot be reached; nothing was changed.`, {
          details: [toMessage(error)],
          remedies: ['check the context and the network:  kubectl cluster-info'],
        });
      }
    },
    async readRunning() {
      const findParts = await history.readParts();
      const running = (await listDeployments()).map(({ metadata, spec }) => {
        const [service, version] = [metadata.name, toVersion(spec.template)];
        const parts = findParts(service, version);
        return [service, { service, version, ...(parts && { parts }) }] as const;
      });
      return new Map(running);
    },
    lock: (waitMs) => lockCluster(cluster, waitMs),
    // The images come from a registry: a missing one shows when its pods start.
    prepare: async () => undefined,
    findMissing: async () => undefined,
    getMemory: ({ service }) => listApps().find((app) => app.name === service)?.manifest.memory,
    async open(work) {
      const objects = await render(overlay);
      return work(
        new KubernetesEngine({ environment: name, cluster, objects, getImage, shift: createShift(url) }),
      );
    },
    scale: (service, count) => scaleInCluster(cluster, service, count),
  };
}

async function render(overlay: string): Promise<KubernetesObject[]> {
  const problem = findKubectlProblem();
  if (problem)
    throw new CliError(`The overlay ${overlay} cannot be rendered: ${problem}; nothing was changed.`, {
      remedies: ['install a current kubectl: https://kubernetes.io/docs/tasks/tools/'],
    });
  const known = listOverlays(root);
  if (!known.includes(overlay))
    throw new CliError(`There is no overlay ${overlay}; nothing was changed.`, {
      remedies: [`set "overlay" in jogakbo.config.ts to one of: ${known.join(', ')}`],
    });
  return renderOverlay(join(root, kubernetesFolder, 'overlays', overlay));
}
