import { describe, expect, it } from '@jest/globals';
import { buildBase } from './base.ts';
import { tearoom } from './tea-room.fixture.ts';
import { buildVersion, toVersionedName } from './versions.ts';

const objects = Object.values(buildBase(tearoom, '1.0.0')).flat();
const build = (service: string, version: string) =>
  buildVersion(objects, { service, version, image: `registry.example/${service}@sha256:${'0'.repeat(64)}` });

describe('one version of a service', () => {
  it('runs beside the others, with the same Service', () => {
    const [old, next] = [build('gift-cards', '1.2.0-0123456789'), build('gift-cards', '1.3.0-abcdef0123')];
    expect(old.deployment.metadata.name).toBe('gift-cards-1-2-0-0123456789');
    expect(next.deployment.metadata.name).toBe('gift-cards-1-3-0-abcdef0123');
    expect(next.migration!.metadata.name).toBe('gift-cards-migrate-1-3-0-abcdef0123');
    expect(next.shared).toEqual(old.shared);
    const kinds = next.shared.map(({ kind }) => kind).sort();
    expect(kinds).toEqual([
      ...['NetworkPolicy', 'NetworkPolicy', 'PodDisruptionBudget', 'Service', 'ServiceAccount'],
      'TriggerAuthentication',
    ]);
  });

  it('has its version in the selector, the labels and the environment of its pods', () => {
    const version = '1.3.0-abcdef0123';
    const label = { 'app.kubernetes.io/version': version };
    expect(build('gift-cards', version).deployment).toMatchObject({
      spec: {
        selector: { matchLabels: label },
        template: {
          metadata: { labels: label },
          spec: {
            containers: [
              {
                image: expect.stringContaining('@sha256:'),
                env: expect.arrayContaining([{ name: 'SERVICE_VERSION', value: version }]),
              },
            ],
          },
        },
      },
    });
  });

  it('becomes the target of the autoscaler', () => {
    for (const [service, kind] of [
      ['gift-cards', 'ScaledObject'],
      ['gateway', 'HorizontalPodAutoscaler'],
    ] as const)
      expect(build(service, '2.0.0-f').autoscaler).toMatchObject({
        kind,
        metadata: { name: service },
        spec: { scaleTargetRef: { name: `${service}-2-0-0-f` } },
      });
  });

  it('changes none of the given objects', () => {
    const before = structuredClone(objects);
    build('gift-cards', '2.0.0-f');
    expect(objects).toEqual(before);
  });

  it('needs a Deployment of the service', () => {
    expect(() => build('cups', '1.0.0-f')).toThrow('no Deployment of cups');
    expect(build('ledger', '1.0.0-f').migration).toBeUndefined();
  });

  it('has a name that Kubernetes accepts, which ends with the whole version', () => {
    const name = toVersionedName('a'.repeat(60), '10.20.30-ABCDEF0123');
    expect(name).toMatch(/^a+-10-20-30-abcdef0123$/);
    expect(name).toHaveLength(63);
  });
});
