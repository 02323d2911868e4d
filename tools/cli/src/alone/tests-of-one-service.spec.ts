import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { build, type Plugin } from 'esbuild';
import { listApps, nxPath, root } from '../workspace.ts';

const apps = listApps().map(({ name }) => name);
const listFiles = (pattern: string) => globSync(pattern, { cwd: root });

/** As in tools/delivery: only the code of this workspace is followed. */
const packagesOutside: Plugin = {
  name: 'packages-outside',
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
      kind === 'entry-point' || path.startsWith('@jogakbo/') ? undefined : { path, external: true },
    );
  },
};

/** All files of the workspace that these files import, directly or not. */
async function listImports(files: readonly string[]): Promise<string[]> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: files.map((file) => join(root, file)),
    outdir: 'unused',
    ...{ bundle: true, write: false, metafile: true, platform: 'node', format: 'esm' },
    plugins: [packagesOutside],
  });
  return Object.keys(metafile.inputs);
}

/** The app that a path belongs to. */
const getApp = (path: string): string | undefined => /(?:^|\/)apps\/([a-z-]+)/.exec(path)?.[1];

describe('the tests of one service', () => {
  it('are tasks that depend on no task of another project', () => {
    const args = ['run-many', '-t', 'test', 'integration', '-p', 'apps/*', '--graph=stdout'];
    const { stdout, stderr } = spawnSync(nxPath(), args, {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, NX_DAEMON: 'false' },
    });
    expect(stderr).toBe('');
    const { tasks } = JSON.parse(stdout) as {
      tasks: {
        tasks: Record<string, { target: { project: string } }>;
        dependencies: Record<string, string[]>;
      };
    };
    expect(Object.keys(tasks.tasks).length).toBeGreaterThan(apps.length);
    for (const [id, dependencies] of Object.entries(tasks.dependencies)) {
      const { project } = tasks.tasks[id]!.target;
      expect(dependencies.filter((one) => !one.startsWith(`${project}:`))).toEqual([]);
    }
  }, 60_000);

  it.each(apps)(
    'load no code of another service: %s',
    async (app) => {
      const files = listFiles(`apps/${app}/{src,test}/**/*.spec.ts`);
      expect(files.length).toBeGreaterThan(0);
      const imported = await listImports(files);
      expect(imported).toEqual(expect.arrayContaining(files));
      expect([...new Set(imported.flatMap((path) => getApp(path) ?? []))]).toEqual([app]);
    },
    60_000,
  );

  it.each(apps)('name no path of another service, so they start none: %s', (app) => {
    const named = listFiles(`apps/${app}/{src,test}/**/*.ts`).flatMap((file) =>
      [...readFileSync(join(root, file), 'utf8').matchAll(/['"`/]apps\/([a-z-]+)/g)].map(([, name]) => name!),
    );
    expect(named.filter((name) => name !== app && apps.includes(name))).toEqual([]);
  });
});
