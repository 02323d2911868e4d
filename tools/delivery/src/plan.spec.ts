import { describe, expect, it } from '@jest/globals';
import type { ContentPart, ServiceContent } from './content.ts';
import { planDeployment, renderPlan, type RunningVersion } from './plan.ts';

const toParts = (parts: Record<string, string>): ContentPart[] =>
  Object.entries(parts).map(([name, hash]) => ({ name, hash }));

function toContents(versions: Record<string, Record<string, string>>): Map<string, ServiceContent> {
  return new Map(
    Object.entries(versions).map(([id, parts]) => {
      const [service, version] = id.split(' ') as [string, string];
      return [service, { service, version, hash: version, parts: toParts(parts) }];
    }),
  );
}

const running = (service: string, version: string, parts?: Record<string, string>): RunningVersion => ({
  service,
  version,
  ...(parts && { parts: toParts(parts) }),
});

const tea = { 'apps/tea': '1', 'libs/cup': '1', 'zod@4.0.0': '1', build: '1' };

describe('the plan of a deployment', () => {
  it('keeps what runs with the same content', () => {
    expect(planDeployment(toContents({ 'tea 2': tea }), [running('tea', '2')])).toEqual([
      { service: 'tea', action: 'keep', from: ['2'], to: '2', reasons: ['the same content is running'] },
    ]);
  });

  it('deploys what does not run', () => {
    expect(planDeployment(toContents({ 'tea 2': tea }), [])).toEqual([
      { service: 'tea', action: 'deploy', from: [], to: '2', reasons: ['does not run yet'] },
    ]);
  });

  it.each<[string, Record<string, string>, string[]]>([
    ['a folder', { ...tea, 'libs/cup': '0' }, ['libs/cup changed']],
    ['the build', { ...tea, build: '0' }, ['the build changed']],
    ['a new folder', { 'apps/tea': '1', 'zod@4.0.0': '1', build: '1' }, ['libs/cup added']],
    ['a removed folder', { ...tea, 'libs/pot': '1' }, ['libs/pot removed']],
    ['a new package', { 'apps/tea': '1', 'libs/cup': '1', build: '1' }, ['zod 4.0.0 added']],
    ['a removed package', { ...tea, '@tea/leaf@1.0.0': '1' }, ['@tea/leaf 1.0.0 removed']],
    [
      'a package in another place',
      { ...tea, 'zod@4.0.0': '0' },
      ['zod 4.0.0: another archive, or another place'],
    ],
    ['nothing that is known', tea, ['1 has another hash, but the same parts']],
  ])('names the parts that differ: %s', (_what, parts, reasons) => {
    expect(planDeployment(toContents({ 'tea 2': tea }), [running('tea', '1', parts)])).toEqual([
      { service: 'tea', action: 'deploy', from: ['1'], to: '2', reasons },
    ]);
  });

  it('names both versions of a package', () => {
    const { 'zod@4.0.0': _zod, ...others } = tea;
    const before = { ...others, 'zod@3.9.0': '1', 'zod@3.8.0': '1' };
    const [step] = planDeployment(toContents({ 'tea 2': tea }), [running('tea', '1', before)]);
    expect(step!.reasons).toEqual(['zod 3.9.0, 3.8.0 → 4.0.0']);
  });

  it('says that the parts of a running version are unknown', () => {
    const [step] = planDeployment(toContents({ 'tea 2': tea }), [running('tea', '1')]);
    expect(step).toMatchObject({
      action: 'deploy',
      reasons: ['what 1 was built of is unknown: there is no record of its deployment'],
    });
  });

  it('deploys again while two versions run', () => {
    const both = [running('tea', '1', { ...tea, 'apps/tea': '0' }), running('tea', '2', tea)];
    expect(planDeployment(toContents({ 'tea 2': tea }), both)).toEqual([
      { service: 'tea', action: 'deploy', from: ['1', '2'], to: '2', reasons: ['apps/tea changed'] },
    ]);
  });

  it('removes only what was deployed from the workspace', () => {
    expect(planDeployment(new Map(), [running('tea', '1', tea), running('python', '3')])).toEqual([
      { service: 'python', action: 'keep', from: ['3'], reasons: ['is not part of this workspace'] },
      { service: 'tea', action: 'remove', from: ['1'], reasons: ['apps/tea is no longer in the workspace'] },
    ]);
  });

  it('is a text with the reasons of each action', () => {
    const contents = toContents({ 'cake 1': {}, 'coffee 2': {}, 'tea 2': tea });
    const packages = Object.fromEntries([1, 2, 3, 4, 5, 6, 7].map((one) => [`p${one}@1.0.0`, '1']));
    const steps = planDeployment(contents, [
      running('cake', '1'),
      running('tea', '1', { ...tea, 'apps/tea': '0', ...packages }),
    ]);
    expect(renderPlan(steps)).toBe(`\
deploy  coffee  2
                does not run yet
deploy  tea     1 → 2
                apps/tea changed
                p1 1.0.0 removed
                p2 1.0.0 removed
                p3 1.0.0 removed
                p4 1.0.0 removed
                p5 1.0.0 removed
                and 2 more
keep    cake    1

2 of 3 services differ from what is running`);
  });
});
