import { beforeEach, describe, expect, it } from '@jest/globals';
import { buildBase } from '../base.ts';
import { buildLocalSecrets } from '../local-secrets.ts';
import type { KubernetesObject } from '../objects.ts';
import { buildOperators } from '../operators.ts';
import { buildSingleNode } from '../single-node.ts';
import { tearoom } from '../tea-room.fixture.ts';
import { checkObjects } from './check-objects.ts';
import { checkSchema } from './schemas.ts';

const secrets = buildLocalSecrets(tearoom, () => 'any');
const buildObjects = () => [
  ...Object.values(buildBase(tearoom, '1.0.0')).flat(),
  ...Object.values(buildSingleNode(tearoom.servers)).flat(),
];

/** Any part of an object. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Part = any;

let objects: KubernetesObject[];
beforeEach(() => {
  objects = structuredClone(buildObjects());
});
const find = (kind: string, name: string): Part =>
  objects.find((one) => one.kind === kind && one.metadata.name === name);
const getContainer = (kind: string, name: string): Part => find(kind, name).spec.template.spec.containers[0];
const remove = (kind: string, name: string) => objects.splice(objects.indexOf(find(kind, name)), 1);

describe('the check of Kubernetes objects', () => {
  it('finds no problem in generated objects, with either kind of servers', async () => {
    expect(await checkObjects(objects, tearoom, secrets)).toEqual([]);
    const production = [
      ...Object.values(buildBase(tearoom, '1.0.0')).flat(),
      ...Object.values(buildOperators(tearoom)).flat(),
    ];
    expect(await checkObjects(production, tearoom)).toEqual([]);
  });

  it.each<[mistake: string, make: () => void, problem: string]>([
    [
      'an unknown key',
      () => (getContainer('Deployment', 'ledger').readinesProbe = {}),
      'Deployment ledger: spec.template.spec.containers.0.readinesProbe: is not a field of Deployment',
    ],
    [
      'an unknown key in an object of an operator',
      () => (find('ScaledObject', 'ledger').spec.triggers[0].meta = {}),
      'ScaledObject ledger: spec.triggers.0.meta: is not a field of ScaledObject',
    ],
    [
      'a wrong type',
      () => (getContainer('Deployment', 'ledger').ports[0].containerPort = '3000'),
      'Deployment ledger: spec.template.spec.containers.0.ports.0.containerPort: must be integer',
    ],
    [
      'a missing field',
      () => delete find('Deployment', 'ledger').spec.selector,
      'Deployment ledger: spec: must have required property selector',
    ],
    [
      'an unknown kind',
      () => (find('PodDisruptionBudget', 'ledger').apiVersion = 'policy/v2'),
      'PodDisruptionBudget ledger: apiVersion: no schema of policy/v2 PodDisruptionBudget is known',
    ],
    [
      'a selector that does not match',
      () => (find('Deployment', 'ledger').spec.selector.matchLabels.tier = 'back'),
      'Deployment ledger: its selector app.kubernetes.io/name=ledger,app.kubernetes.io/component=service,tier=back does not match',
    ],
    [
      'a Service without pods',
      () => (find('Service', 'ledger').spec.selector = { app: 'ledger' }),
      'Service ledger: its selector app=ledger matches no pod',
    ],
    [
      'a port without a name',
      () => delete getContainer('Deployment', 'ledger').ports[0].name,
      'Service ledger: targetPort http is no port of Deployment ledger',
    ],
    [
      'a forbidden call over HTTP',
      () => find('NetworkPolicy', 'labels').spec.ingress[0].from.splice(1),
      'the HTTP calls of gift-cards to labels: no NetworkPolicy permits it as ingress',
    ],
    [
      'a forbidden connection to the database',
      () => find('NetworkPolicy', 'gift-cards').spec.egress.splice(1, 1),
      'the connection of gift-cards to its database: no NetworkPolicy permits it as egress',
    ],
    [
      'a missing ConfigMap',
      () => remove('ConfigMap', 'common-settings'),
      'Deployment ledger: the ConfigMap common-settings does not exist',
    ],
    [
      'a missing key of a ConfigMap',
      () => delete find('ConfigMap', 'store-settings').data.TOKEN_ISSUER,
      'Deployment gateway: the ConfigMap store-settings has no key TOKEN_ISSUER',
    ],
    [
      'a missing key of a Secret',
      () =>
        getContainer('Deployment', 'ledger').env.push({
          name: 'TEA_FILE',
          value: '/run/secrets/service/tea',
        }),
      'Deployment ledger: TEA_FILE names the key tea, which the Secret ledger does not have',
    ],
    [
      'an image without a version',
      () => (getContainer('Deployment', 'ledger').image = 'registry.example:5000/ledger'),
      'Deployment ledger: container ledger: the image "registry.example:5000/ledger" has no exact version',
    ],
    [
      'an image that changes',
      () => (getContainer('Deployment', 'ledger').image = 'ledger:latest'),
      'the image "ledger:latest" has no exact version',
    ],
    [
      'an autoscaler without a target',
      () => (find('ScaledObject', 'ledger').spec.scaleTargetRef.name = 'ledgers'),
      'ScaledObject ledger: its target Deployment ledgers does not exist',
    ],
    [
      'a process of root',
      () => delete find('Deployment', 'ledger').spec.template.spec.securityContext.runAsNonRoot,
      'Deployment ledger: securityContext.runAsNonRoot must be true',
    ],
    [
      'a pod that is killed while it drains',
      () => (find('Deployment', 'gateway').spec.template.spec.terminationGracePeriodSeconds = 12),
      'Deployment gateway: terminationGracePeriodSeconds is 12: preStop and the drain of the service take 15 s',
    ],
    [
      'a service without a Deployment',
      () => remove('Job', 'gift-cards-migrate'),
      'Job gift-cards-migrate is missing: apps/gift-cards declares the service',
    ],
  ])('refuses %s', async (_mistake, make, problem) => {
    make();
    const problems = await checkObjects(objects, tearoom, secrets);
    expect(problems).toContainEqual(expect.stringContaining(problem));
  });

  it('refuses an unknown key in every object, at every level', async () => {
    const operators = structuredClone(Object.values(buildOperators(tearoom)).flat());
    let checked = 0;
    const missed: string[] = [];
    const insertEverywhere = async (object: KubernetesObject, part: Part, path: string): Promise<void> => {
      if (typeof part !== 'object' || part === null) return;
      if (!Array.isArray(part)) {
        // A map such as labels permits any key, but no object as a value.
        part.unknown = {};
        if ((await checkSchema(object)).length === 0) missed.push(`${object.kind} ${path}`);
        delete part.unknown;
        checked += 1;
      }
      for (const [key, value] of Object.entries(part))
        await insertEverywhere(object, value, `${path}.${key}`);
    };
    for (const object of [...objects, ...operators]) await insertEverywhere(object, object, '');
    expect(missed).toEqual([]);
    expect(checked).toBeGreaterThan(500);
  }, 30_000);

  it('refuses an unknown key of a kind without a published schema', async () => {
    const operators = structuredClone(Object.values(buildOperators(tearoom)).flat());
    const cluster = operators.find(({ kind }) => kind === 'RabbitmqCluster') as Part;
    cluster.spec.replica = 3;
    const all = [...objects, ...operators];
    expect(await checkObjects(all, tearoom)).toContainEqual(
      expect.stringContaining('RabbitmqCluster rabbitmq: spec: Unrecognized key: "replica"'),
    );
  });
});
