import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { checkObjects } from '@jogakbo/delivery/src/kubernetes/check/check-objects.ts';
import type { WorkspaceDeclaration } from '@jogakbo/delivery/src/kubernetes/declarations.ts';
import { kubernetesFolder, listGenerated, renderFiles } from '@jogakbo/delivery/src/kubernetes/files.ts';
import { buildLocalSecrets } from '@jogakbo/delivery/src/kubernetes/local-secrets.ts';
import type { KubernetesObject } from '@jogakbo/delivery/src/kubernetes/objects.ts';
import {
  findKubectlProblem,
  listOverlays,
  parseObjects,
  renderOverlay,
} from '@jogakbo/delivery/src/kubernetes/render.ts';
import { checkSchema } from '@jogakbo/delivery/src/kubernetes/check/schemas.ts';
import { readWorkspaceDeclaration, readWorkspaceVersion } from '../src/kubernetes-declaration.ts';
import { root } from '../src/workspace.ts';

const folder = join(root, kubernetesFolder);
let declaration: WorkspaceDeclaration;
beforeAll(async () => {
  declaration = await readWorkspaceDeclaration();
});

describe('the generated files of deploy/kubernetes', () => {
  it('show the current declarations', () => {
    const files = renderFiles(declaration, readWorkspaceVersion());
    const old = Object.keys(files)
      .filter(
        (path) =>
          !listGenerated(root).includes(path) || readFileSync(join(folder, path), 'utf8') !== files[path],
      )
      .concat(listGenerated(root).filter((path) => !(path in files)));
    if (old.length > 0)
      throw new Error(
        `deploy/kubernetes must be updated (${old.join(', ')}); run: npx jogakbo kubernetes --write`,
      );
    expect(Object.keys(files).length).toBeGreaterThan(declaration.services.length);
  });

  it.each(['single-node', 'operators'])('have no problem with the servers of %s', async (servers) => {
    const files = renderFiles(declaration, readWorkspaceVersion());
    const objects = Object.entries(files)
      .filter(([path]) => new RegExp(`^(base|backing/${servers})/(?!kustomization)`).test(path))
      .flatMap(([, text]) => parseObjects(text));
    expect(
      await checkObjects(
        objects,
        declaration,
        buildLocalSecrets(declaration, () => ''),
      ),
    ).toEqual([]);
  });
});

// The overlays need kustomize. Nothing in npm has it, and kubectl of Debian 12 is too old.
const problem = findKubectlProblem();
if (problem) console.warn(`The overlays of deploy/kubernetes are not tested: ${problem}.`);
const describeWithKubectl = problem ? describe.skip : describe;

describeWithKubectl(`the overlays of deploy/kubernetes${problem ? ` (skipped: ${problem})` : ''}`, () => {
  const rendered: Record<string, KubernetesObject[]> = {};
  beforeAll(async () => {
    for (const overlay of listOverlays(root))
      rendered[overlay] = await renderOverlay(join(folder, 'overlays', overlay));
  }, 30_000);

  it('are rendered and have no problem', async () => {
    expect(Object.keys(rendered).sort()).toEqual(['development', 'production']);
    expect(
      await checkObjects(
        rendered.development!,
        declaration,
        buildLocalSecrets(declaration, () => ''),
      ),
    ).toEqual([]);
    expect(await checkObjects(rendered.production!, declaration)).toEqual([]);
  });

  it('contain no secret', () => {
    const kinds = Object.values(rendered).flatMap((objects) => objects.map(({ kind }) => kind));
    expect(kinds).toContain('ExternalSecret');
    expect(kinds).not.toContain('Secret');
  });

  it('connect to the servers of production with TLS only', () => {
    const text = JSON.stringify(rendered.production);
    expect(text).toContain('"PLAINTEXT_NETWORK":"refuse"');
    expect(text).toContain('cacertfile=/run/authorities/rabbitmq.crt');
    expect(text).not.toMatch(/amqp:\/\/|sslmode=(?!verify-full)/);
    const authorities = rendered.production!.filter((one) => JSON.stringify(one).includes('"rabbitmq.crt"'));
    expect(authorities.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual(
      expect.arrayContaining(['Deployment gateway', 'Job broker-logins']),
    );
  });
});

describe('files that are written by hand', () => {
  it.each([
    'argo-cd/application.yaml',
    'components/istio/mesh.yaml',
    'components/linkerd/network-policy.yaml',
  ])('%s has valid objects', async (path) => {
    const objects = parseObjects(readFileSync(join(folder, path), 'utf8'));
    expect(objects.length).toBeGreaterThan(0);
    expect((await Promise.all(objects.map(checkSchema))).flat()).toEqual([]);
  });
});
