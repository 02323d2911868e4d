import { type Cluster, type Kind, kinds, type StoredObject } from '@jogakbo/delivery/src/engines/cluster.ts';
import { CliError } from '../terminal/cli-error.ts';

interface Autoscaler extends StoredObject {
  spec: Record<string, unknown>;
}

/** The autoscalers, with the fields of their limits. */
const autoscalers: readonly [kind: Kind, least: string, most: string][] = [
  [['keda.sh/v1alpha1', 'ScaledObject'], 'minReplicaCount', 'maxReplicaCount'],
  [['autoscaling/v2', 'HorizontalPodAutoscaler'], 'minReplicas', 'maxReplicas'],
];

/** Sets the least number of instances: of the autoscaler, or of the Deployment if there is none. */
export async function scaleInCluster(cluster: Cluster, service: string, count: number): Promise<string> {
  for (const [kind, least, most] of autoscalers) {
    const autoscaler = await cluster.read<Autoscaler>(kind, service);
    if (!autoscaler) continue;
    const limit = Math.max(count, Number(autoscaler.spec[most] ?? count));
    await cluster.merge(kind, service, { spec: { [least]: count, [most]: limit } });
    return 'at least, until its next deployment';
  }
  if (!(await cluster.read(kinds.deployment, service)))
    throw new CliError(`The cluster has no Deployment ${service}.`, {
      remedies: ['kubectl get deployments'],
    });
  await cluster.merge(kinds.deployment, service, { spec: { replicas: count } });
  return 'until it is scaled again';
}
