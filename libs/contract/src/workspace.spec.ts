import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parseAppManifest, readWorkspaceConfig } from './workspace.ts';

describe('jogakbo.config.ts', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'jogakbo-config-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const read = (exported: object) => {
    writeFileSync(join(folder, 'jogakbo.config.ts'), `export default ${JSON.stringify(exported)};\n`);
    return readWorkspaceConfig(folder);
  };

  it('needs a name and a language', async () => {
    await expect(read({ name: 'teas', languages: ['fr', 'pt-BR', 'zh-Hant'] })).resolves.toEqual({
      ...{ name: 'teas', languages: ['fr', 'pt-BR', 'zh-Hant'], roles: [], readyRoutes: [] },
      ...{ localStaff: ['operator'], environments: {} },
    });
  });

  it('declares environments by their engine', async () => {
    const environments = {
      shop: { engine: 'docker', project: 'shop', url: 'https://teas.example' },
      live: { engine: 'kubernetes', overlay: 'production', registry: 'images.example/teas' },
    };
    const config = { name: 'teas', languages: ['fr'], environments, pullRequestEnvironment: 'live' };
    await expect(read(config)).resolves.toMatchObject({ environments, pullRequestEnvironment: 'live' });
  });

  it.each([
    [{ languages: [] }, 'jogakbo.config.ts: languages: '],
    [{ languages: ['French'] }, 'languages.0: must be a language tag such as pt-BR'],
    [{ roles: ['member'] }, 'roles.0: is reserved by the platform'],
    [{ roles: ['Taster'] }, 'roles.0: must be in kebab-case'],
    [
      { localStaff: ['tester'], roles: ['taster'] },
      'localStaff.0: tester is none of the roles taster, operator',
    ],
    [{ readyRoutes: ['/v1/teas'] }, 'readyRoutes.0: must look like POST /v1/things'],
    [{ colour: 'green' }, 'Unrecognized key: "colour"'],
    [{ environments: { local: { engine: 'docker' } } }, 'is reserved for the store on the same machine'],
    [{ environments: { 'My shop': { engine: 'docker' } } }, 'environments.My shop: must be in kebab-case'],
    [{ environments: { live: { engine: 'nomad' } } }, 'environments.live.engine: '],
    [{ environments: { live: { engine: 'kubernetes', registry: 'r' } } }, 'environments.live.overlay: '],
    [
      { environments: { shop: { engine: 'docker' } }, pullRequestEnvironment: 'live' },
      'pullRequestEnvironment: live is none of the environments local, shop',
    ],
  ])('with %j is rejected', async (part, problem) => {
    await expect(read({ name: 'teas', languages: ['fr'], ...part })).rejects.toThrow(problem);
  });
});

describe('the manifest of an app', () => {
  it('has defaults for all but the owner', () => {
    expect(parseAppManifest({ owner: 'tea' }, 'apps/tea/package.json')).toEqual({
      ...{
        owner: 'tea',
        uses: [],
        database: false,
        heap: { young: 4, old: 128 },
        egress: [],
        scaleToZero: false,
        settings: [],
        secrets: [],
      },
      compose: { environment: {}, secrets: {}, containers: {} },
    });
  });

  it('is rejected with the file and the field', () => {
    expect(() => parseAppManifest({ owner: 'tea', settings: ['LANGUAGE'] }, 'apps/tea/package.json')).toThrow(
      'apps/tea/package.json: "jogakbo": settings.0: ',
    );
    expect(() => parseAppManifest(undefined, 'apps/tea/package.json')).toThrow('owner: ');
  });
});
