import { describe, expect, it } from '@jest/globals';
import { buildBase } from './base.ts';
import type { KubernetesObject } from './objects.ts';
import { declareService, declareWorkspace, tearoom } from './tea-room.fixture.ts';

const files = buildBase(tearoom, '1.0.0');
const find = (kind: string, name: string): KubernetesObject =>
  Object.values(files)
    .flat()
    .find((one) => one.kind === kind && one.metadata.name === name)!;
const getSpec = <T = object>(kind: string, name: string) => find(kind, name).spec as T;
const getPod = (kind: string, name: string) =>
  (find(kind, name).spec as { template: { spec: Record<string, unknown> } }).template.spec;
const getContainer = (kind: string, name: string) => (getPod(kind, name).containers as object[])[0];

describe('the base', () => {
  it('has a file for each service and one for the workspace', () => {
    expect(Object.keys(files)).toEqual([
      ...['workspace.yaml', 'gateway.yaml', 'gift-cards.yaml', 'labels.yaml', 'ledger.yaml'],
    ]);
  });

  it('has a Deployment with the limits and settings that the service declares', () => {
    expect(getContainer('Deployment', 'gateway')).toMatchObject({
      image: 'tearoom/gateway:1.2.0',
      command: [
        ...['node', '--import=./dist/source-maps.js', '--max-semi-space-size=16', '--max-old-space-size=256'],
        'dist/main.js',
      ],
      // The limit is above the heap's 256 + 3 * 16.
      resources: { requests: { memory: '130M' }, limits: { memory: '432M' } },
      env: expect.arrayContaining([
        {
          name: 'TOKEN_ISSUER',
          valueFrom: { configMapKeyRef: { name: 'store-settings', key: 'TOKEN_ISSUER' } },
        },
        { name: 'RABBITMQ_URL_FILE', value: '/run/secrets/service/rabbitmq_url' },
      ]),
    });
    expect(JSON.stringify(getContainer('Deployment', 'gateway'))).not.toMatch(/ROLES|DATABASE_URL/);
    expect(getSpec('Deployment', 'gateway')).not.toHaveProperty('replicas');
  });

  it('gives every service its own Secret, as files', () => {
    const text = JSON.stringify(getPod('Deployment', 'gift-cards'));
    expect(text).toContain('{"name":"secrets","secret":{"secretName":"gift-cards","defaultMode":288}}');
    for (const name of ['DATABASE_URL', 'CONFIG_PASSWORD', 'SERVICE_KEY', 'CONFIG_CLIENTS'])
      expect(text).toContain(`{"name":"${name}_FILE","value":"/run/secrets/service/${name.toLowerCase()}"}`);
    // People choose it for an environment, or not at all.
    expect(text).not.toMatch(/PRINTER_KEY|UNUSED_KEY|secretKeyRef/);
  });

  it('gives connections time to move before the instance drains, if clients have its address', () => {
    const stop = { preStop: { sleep: { seconds: 5 } } };
    expect(getContainer('Deployment', 'gateway')).toMatchObject({ lifecycle: stop });
    expect(getContainer('Deployment', 'labels')).toMatchObject({ lifecycle: stop });
    expect(getContainer('Deployment', 'ledger')).not.toHaveProperty('lifecycle');
    expect(getPod('Deployment', 'gateway')).toMatchObject({ terminationGracePeriodSeconds: 20 });
    expect(getPod('Deployment', 'ledger')).toMatchObject({ terminationGracePeriodSeconds: 15 });
  });

  it('restarts a process only for its own state', () => {
    expect(getContainer('Deployment', 'ledger')).toMatchObject({
      livenessProbe: { httpGet: { path: '/health/live' } },
      startupProbe: { httpGet: { path: '/health/live' } },
      readinessProbe: { httpGet: { path: '/health/ready' } },
    });
  });

  it('migrates only services with a database, after which Argo CD starts them', () => {
    expect(getContainer('Job', 'gift-cards-migrate')).toMatchObject({
      command: ['node', 'dist/main.js', 'migrate'],
      env: [{ name: 'DATABASE_URL_FILE', value: '/run/secrets/service/database_url' }],
    });
    expect(find('Job', 'ledger-migrate')).toBeUndefined();
    const getWave = (object: KubernetesObject) =>
      Number(object.metadata.annotations!['argocd.argoproj.io/sync-wave']);
    expect(getWave(find('Job', 'gift-cards-migrate'))).toBeLessThan(
      getWave(find('Deployment', 'gift-cards')),
    );
    expect(getWave(find('Job', 'broker-logins'))).toBeLessThan(getWave(find('Deployment', 'gift-cards')));
  });

  it('scales consumers by their queues, and the gateway by CPU time', () => {
    const { triggers, minReplicaCount } = getSpec<{
      triggers: { type: string; metadata: { queueName: string } }[];
      minReplicaCount: number;
    }>('ScaledObject', 'gift-cards');
    expect(minReplicaCount).toBe(2);
    expect(
      triggers.filter(({ type }) => type === 'rabbitmq').map(({ metadata }) => metadata.queueName),
    ).toEqual([...['gift-cards.commands', 'gift-cards.events', 'gift-cards.queries']]);
    expect(getSpec('HorizontalPodAutoscaler', 'gateway')).toMatchObject({ minReplicas: 2 });
    // It publishes only: no queue can tell its load.
    expect(getSpec('HorizontalPodAutoscaler', 'labels')).toMatchObject({ minReplicas: 2 });
    expect(find('ScaledObject', 'gateway')).toBeUndefined();
  });

  it('stops all instances only of a service that declares it', () => {
    expect(getSpec('ScaledObject', 'ledger')).toMatchObject({
      minReplicaCount: 0,
      triggers: [{ type: 'rabbitmq', metadata: { queueName: 'ledger.events' } }],
    });
  });

  it('permits only the connections that a service declares', () => {
    const select = (name: string) => ({ podSelector: { matchLabels: { 'app.kubernetes.io/name': name } } });
    const service = { 'app.kubernetes.io/component': 'service' };
    expect(getSpec('NetworkPolicy', 'default-deny')).toEqual({
      podSelector: {},
      policyTypes: ['Ingress', 'Egress'],
    });
    expect(getSpec('NetworkPolicy', 'gift-cards')).toMatchObject({
      ingress: [{ from: [{ namespaceSelector: {} }] }],
      egress: [
        { to: [select('rabbitmq')], ports: [{ port: 5671 }, { port: 5672 }] },
        { to: [select('postgres')], ports: [{ port: 5432 }] },
        { to: [{ ipBlock: { cidr: '192.0.2.0/24' } }], ports: [{ port: 631 }] },
        {
          to: [
            {
              ipBlock: {
                cidr: '0.0.0.0/0',
                except: expect.arrayContaining(['10.0.0.0/8', '169.254.0.0/16']),
              },
            },
            { ipBlock: { cidr: '::/0' } },
          ],
          ports: [{ port: 443 }],
        },
        { to: [{ podSelector: { matchLabels: { 'app.kubernetes.io/name': 'labels', ...service } } }] },
      ],
    });
    expect(getSpec('NetworkPolicy', 'ledger')).toMatchObject({ egress: [{ to: [select('rabbitmq')] }] });
    expect(getSpec<{ egress: unknown[] }>('NetworkPolicy', 'ledger').egress).toHaveLength(1);
    expect(JSON.stringify(getSpec('NetworkPolicy', 'labels'))).toContain('"gift-cards"');
    expect(getSpec('NetworkPolicy', 'gateway')).toMatchObject({ ingress: [{ ports: [{ port: 'http' }] }] });
    // Migrations reach nothing but the database.
    expect(getSpec<{ egress: unknown[] }>('NetworkPolicy', 'gift-cards-migrate').egress).toHaveLength(1);
  });

  it.each([
    [
      declareService('tea', { egress: [{ service: 'cups' }] }),
      'apps/tea/package.json: "egress" names the service cups, which does not exist: correct the name',
    ],
    [
      declareService('tea', { scaleToZero: true }, { contracts: [{ name: 'tea.get-tea', kind: 'query' }] }),
      'apps/tea/package.json: "scaleToZero" is true, but the service answers the query tea.get-tea',
    ],
  ])('is not built from a contradiction', (service, problem) => {
    expect(() => buildBase(declareWorkspace(service), '1.0.0')).toThrow(problem);
  });
});
