import { describe, expect, it } from '@jest/globals';
import { addProject, removeProjects, type LockFile } from './lock-file.ts';

const lock: LockFile = {
  name: 'garden',
  packages: {
    '': { workspaces: ['apps/*'], devDependencies: { tool: '1.0.0' } },
    'apps/notes': { name: '@x/notes', version: '0.1.0', dependencies: { common: '1.0.0' } },
    'node_modules/@x/notes': { resolved: 'apps/notes', link: true },
    'node_modules/common': { version: '1.0.0' },
    'node_modules/orphan': { version: '1.0.0' },
    'node_modules/tool': { version: '1.0.0' },
  },
};

const letters = {
  name: '@x/letters',
  version: '0.1.0',
  dependencies: { '@x/notes': '0.1.0', common: '1.0.0', special: '1.0.0' },
  nx: { name: 'letters' },
};

describe('a project of the workspace', () => {
  const added = addProject(lock, 'apps/letters', letters);

  it('is added in the order of npm, with what npm records', () => {
    expect(Object.keys(added.packages).slice(0, 4)).toEqual([
      '',
      'apps/letters',
      'apps/notes',
      'node_modules/@x/letters',
    ]);
    expect(added.packages['apps/letters']).toEqual({
      name: '@x/letters',
      version: '0.1.0',
      dependencies: letters.dependencies,
    });
    expect(added.packages['node_modules/@x/letters']).toEqual({ resolved: 'apps/letters', link: true });
  });

  it('is updated at its place', () => {
    const again = addProject(added, 'apps/letters', { ...letters, version: '0.2.0' });
    expect(Object.keys(again.packages)).toEqual(Object.keys(added.packages));
    expect(again.packages['apps/letters']!.version).toBe('0.2.0');
  });

  it('is removed without a trace', () => {
    expect(JSON.stringify(removeProjects(added, ['apps/letters']))).toBe(JSON.stringify(lock));
  });

  it('takes the packages with it that only it needs', () => {
    const whole: LockFile = {
      ...added,
      packages: {
        ...added.packages,
        'apps/letters/node_modules/common': { version: '2.0.0' },
        'node_modules/special': { version: '1.0.0', dependencies: { deep: '1.0.0', common: '1.0.0' } },
        'node_modules/special/node_modules/deep': { version: '1.0.0' },
      },
    };
    expect(removeProjects(whole, ['apps/letters'])).toEqual(lock);
  });
});
