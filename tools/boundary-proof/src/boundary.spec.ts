import { describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';

// Through Nx, because only there is the project graph that the rule needs sure to be fresh.
describe('the dependency rules', () => {
  it('refuse a contract that leans on the transport or on Nest', () => {
    const nx = spawnSync('node_modules/.bin/nx', ['run', 'boundary-proof:violations'], {
      encoding: 'utf8',
      env: { ...process.env, NX_DAEMON: 'false' },
    });
    const said = nx.stdout + nx.stderr;
    expect(nx.status).toBe(1);
    expect(said).toContain('@nx/enforce-module-boundaries');
    expect(said).toMatch(/tagged with "type:contracts" can only depend on libs tagged with/);
    expect(said).toMatch(/tagged with "type:contracts" is not allowed to import "@nestjs\/common"/);
  }, 60_000);
});
