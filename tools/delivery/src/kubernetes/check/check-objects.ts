import { names, type KubernetesObject } from '../objects.ts';
import type { WorkspaceDeclaration } from '../declarations.ts';
import { checkNetwork } from './network.ts';
import { listPods, toTitle } from './pods.ts';
import { checkReferences } from './references.ts';
import { checkSchema } from './schemas.ts';
import { checkPods } from './security.ts';
import { checkSelectors } from './selectors.ts';

/**
 * Checks rendered objects: each against the schema of its kind, with unknown keys as problems, and then all of them against
 * each other and against the declarations. Needs no cluster.
 * @param secrets Secrets that exist in the cluster and are not among the objects
 * @returns one line per problem, with the object and the path or the cause
 */
export async function checkObjects(
  objects: readonly KubernetesObject[],
  all: WorkspaceDeclaration,
  secrets: readonly KubernetesObject[] = [],
): Promise<string[]> {
  const schemas = await Promise.all(
    objects.map(async (object) =>
      (await checkSchema(object)).map((problem) => `${toTitle(object)}: ${problem}`),
    ),
  );
  // The other checks rely on the schemas.
  if (schemas.flat().length > 0) return schemas.flat();
  const pods = listPods(objects);
  return [
    ...checkServices(objects, all),
    ...checkSelectors(objects, pods),
    ...checkReferences([...objects, ...secrets], pods),
    ...checkPods(pods),
    ...checkNetwork(objects, all),
  ];
}

/** Every declared service must have its objects. */
function checkServices(objects: readonly KubernetesObject[], { services }: WorkspaceDeclaration): string[] {
  const titles = new Set(objects.map(toTitle));
  return services.flatMap(({ name, manifest }) =>
    [
      ...['Deployment', 'Service', 'PodDisruptionBudget', 'ServiceAccount'].map((kind) => `${kind} ${name}`),
      ...(manifest.database ? [`Job ${names.migration(name)}`] : []),
    ]
      .filter((title) => !titles.has(title))
      .map((title) => `${title} is missing: apps/${name} declares the service`),
  );
}
