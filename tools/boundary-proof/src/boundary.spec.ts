import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';

// Uses Nx, because only then the project graph that the rule needs is up to date.
describe('the dependency rules', () => {
  it('reject a contract that depends on the transport or on Nest', () => {
    const nx = spawnSync('node_modules/.bin/nx', ['run', 'boundary-proof:violations'], {
      encoding: 'utf8',
      env: { ...process.env, NX_DAEMON: 'false' },
    });
    const output = nx.stdout + nx.stderr;
    expect(nx.status).toBe(1);
    expect(output).toContain('@nx/enforce-module-boundaries');
    expect(output).toMatch(/tagged with "type:contracts" can only depend on libs tagged with/);
    expect(output).toMatch(/tagged with "type:contracts" is not allowed to import "@nestjs\/common"/);
  }, 60_000);
});
