import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const run = (command: string, args: string[], input?: string) =>
  spawnSync(`node_modules/.bin/${command}`, args, {
    encoding: 'utf8',
    env: { ...process.env, NX_DAEMON: 'false' },
    input,
  });
const scopeError =
  'A project tagged with "scope:platform" can only depend on libs tagged with "scope:platform"';

// Uses Nx, because only then the project graph that the rule needs is up to date.
describe('the dependency rules', () => {
  it('reject a contract that depends on the transport, on Nest or on a product', () => {
    const nx = run('nx', ['run', 'boundary-proof:violations']);
    const output = nx.stdout + nx.stderr;
    expect(nx.status).toBe(1);
    expect(output).toContain('@nx/enforce-module-boundaries');
    expect(output).toMatch(/tagged with "type:contracts" can only depend on libs tagged with/);
    expect(output).toMatch(/tagged with "type:contracts" is not allowed to import "@nestjs\/common"/);
    expect(output).toContain(scopeError);
  }, 60_000);

  it.each(['tools/cli', 'tools/chaos', 'apps/gateway', 'libs/testing'])(
    'reject that %s depends on a product',
    (project) => {
      const violation = readFileSync(
        'tools/boundary-proof/violations/platform-depends-on-product.ts',
        'utf8',
      );
      const eslint = run('eslint', ['--stdin', '--stdin-filename', `${project}/src/violation.ts`], violation);
      expect(eslint.stdout).toContain(scopeError);
      expect(eslint.status).toBe(1);
    },
    60_000,
  );
});
