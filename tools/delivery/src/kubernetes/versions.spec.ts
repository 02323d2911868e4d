import { describe, expect, it } from '@jest/globals';
import { buildBase } from './base.ts';
import type { KubernetesObject } from './objects.ts';
import { tearoom } from './tea-room.fixture.ts';
import { buildVersion, toVersionedName } from './versions.ts';

const objects = Object.values(buildBase(tearoom, '1.0.0')).flat();
const build = (service: string, version: string) =>
  buildVersion(objects, { service, version, image: `registry.example/${service}@sha256:${'0'.repeat(64)}` });

const findSpec = ({ spec }: KubernetesObject) =>
  spec as {
    selector: { matchLabels: Record<string, string> };
    template: { metadata: { labels: Record<string, string> }; spec: { containers: { image: string }[] } };
  };

describe('one version of a service', () => {
  it('runs beside the current one, with the same Service', () => {
    const [old, next] = [build('gift-cards', '1.2.0-0123456789'), build('gift-cards', '1.3.0-abcdef0123')];
    expect(old.candidate.metadata.name).toBe('gift-cards-1-2-0-0123456789');
    expect(next.candidate.metadata.name).toBe('gift-cards-1-3-0-abcdef0123');
    expect(next.shared).toEqual(old.shared);
    expect(next.shared.map(({ kind }) => kind).sort()).toEqual([
      ...['NetworkPolicy', 'PodDisruptionBudget', 'ScaledObject', 'Service', 'ServiceAccount'],
      'TriggerAuthentication',
    ]);
  });

  it('migrates first, with the policy that permits the connection to the database', () => {
    const titles = build('gift-cards', '1.3.0-abcdef0123').migration.map(
      ({ kind, metadata: { name } }) => `${kind} ${name}`,
    );
    expect(titles).toEqual(['NetworkPolicy gift-cards-migrate', 'Job gift-cards-migrate-1-3-0-abcdef0123']);
  });

  it('has its version in the labels and the environment of its pods', () => {
    const version = '1.3.0-abcdef0123';
    const { candidate, current } = build('gift-cards', version);
    for (const deployment of [candidate, current])
      expect(findSpec(deployment).template).toMatchObject({
        metadata: { labels: { 'app.kubernetes.io/version': version } },
        spec: {
          containers: [
            {
              image: expect.stringContaining('@sha256:'),
              env: expect.arrayContaining([{ name: 'SERVICE_VERSION', value: version }]),
            },
          ],
        },
      });
  });

  it('becomes the Deployment with the name of the service, whose selector cannot change', () => {
    const { current } = build('gift-cards', '1.3.0-abcdef0123');
    const before = objects.find(
      ({ kind, metadata: { name } }) => kind === 'Deployment' && name === 'gift-cards',
    )!;
    expect(current.metadata.name).toBe('gift-cards');
    expect(findSpec(current).selector).toEqual(findSpec(before).selector);
  });

  it('has pods that the Deployment of the current version does not have, also if that has the same version', () => {
    const { candidate, current } = build('gift-cards', '2.0.0-f');
    const { selector, template } = findSpec(candidate);
    expect(template.metadata.labels).toMatchObject(selector.matchLabels);
    expect(findSpec(current).template.metadata.labels).not.toMatchObject(selector.matchLabels);
  });

  it('leaves the target of the autoscaler', () => {
    for (const [service, kind] of [
      ['gift-cards', 'ScaledObject'],
      ['gateway', 'HorizontalPodAutoscaler'],
    ] as const)
      expect(build(service, '2.0.0-f').shared.find((one) => one.kind === kind)).toMatchObject({
        spec: { scaleTargetRef: { name: service } },
      });
  });

  it('changes none of the given objects', () => {
    const before = structuredClone(objects);
    build('gift-cards', '2.0.0-f');
    expect(objects).toEqual(before);
  });

  it('needs a Deployment of the service', () => {
    expect(() => build('cups', '1.0.0-f')).toThrow('no Deployment of cups');
    expect(build('ledger', '1.0.0-f').migration).toEqual([]);
  });

  it('has a name that Kubernetes accepts, which ends with the whole version', () => {
    const name = toVersionedName('a'.repeat(60), '10.20.30-ABCDEF0123');
    expect(name).toMatch(/^a+-10-20-30-abcdef0123$/);
    expect(name).toHaveLength(63);
  });
});
