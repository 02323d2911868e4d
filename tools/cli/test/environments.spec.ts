// The commands with --environment, against stand-ins for the API server of Kubernetes and for the gateway of that environment.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { describe as describeContract, describeUses, service } from '@jogakbo/contract';
import type { Deployment } from '@jogakbo/delivery/src/engines/cluster-state.ts';
import { ApiServer } from '@jogakbo/delivery/src/engines/api-server.fixture.ts';
import { buildBase } from '@jogakbo/delivery/src/kubernetes/base.ts';
import { findKubectlProblem } from '@jogakbo/delivery/src/kubernetes/render.ts';
import { declareService, declareWorkspace } from '@jogakbo/delivery/src/kubernetes/tea-room.fixture.ts';
import { SampleWorkspace } from '@jogakbo/delivery/src/sample-workspace.ts';
import { stringify } from 'yaml';
import { z } from 'zod';

const workspace = new SampleWorkspace();
process.env.JOGAKBO_WORKSPACE = workspace.root;
process.env.KUBECONFIG = join(workspace.root, 'kubeconfig');
process.env.JOGAKBO_OPERATOR_EMAIL = 'operator@example.com';
process.env.JOGAKBO_OPERATOR_PASSWORD = 'any';
// kubectl renders the overlay in each rollback.
jest.setTimeout(60_000);
const { runCommandLine } = await import('../src/command-line/run.ts');

/** `tea` has a version 2 with a field that `coffee` reads. */
const createTea = (output: z.ZodRawShape) => {
  const tea = service('tea');
  const Brew = tea.command('brew', { input: z.strictObject({}), output: z.object(output) });
  return {
    Brew,
    contract: { ...describeContract(tea), uses: describeUses({ calls: [], receives: [], publishes: [] }) },
  };
};
const [first, second] = [createTea({ cup: z.string() }), createTea({ cup: z.string(), grams: z.int() })];
const coffee = {
  ...describeContract(service('coffee')),
  uses: describeUses({ calls: [second.Brew], receives: [], publishes: [] }),
};
const hash = (digit: string) => digit.repeat(64);
const instance = (name: string, version: string, digit: string) => ({
  ...{ service: name, version, contractHash: hash(digit), upstream: 'bus' },
});
const answers: Record<string, object | undefined> = {
  'POST /v1/sessions': { accessToken: 'any' },
  'GET /v1/ops/config/application': { items: [], version: 1 },
  'POST /v1/ops/config/application/versions': { version: 2 },
  'GET /v1/ops/config/gateway/in-force': { instances: [] },
  'GET /v1/ops/contracts/tea': {
    items: [
      { version: '2', hash: hash('2') },
      { version: '1', hash: hash('1') },
    ],
  },
  [`GET /v1/ops/contracts/tea/${hash('1')}`]: { contract: first.contract },
  [`GET /v1/ops/contracts/tea/${hash('2')}`]: { contract: second.contract },
  [`GET /v1/ops/contracts/coffee/${hash('c')}`]: { contract: coffee },
};

const objects = Object.values(
  buildBase(declareWorkspace(declareService('tea'), declareService('coffee')), '1'),
).flat();
for (const app of ['tea', 'coffee'])
  workspace.changeManifest(`apps/${app}`, { jogakbo: { owner: 'kitchen' } });
workspace.write('package.json', '{"version": "1.0.0"}');
workspace.write(
  'deploy/kubernetes/overlays/live/kustomization.yaml',
  'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: tearoom\nresources: [all.yaml]\n',
);
workspace.write(
  'deploy/kubernetes/overlays/live/all.yaml',
  objects.map((one) => stringify(one)).join('---\n'),
);

const gateway = createServer(({ method, url }, response) => {
  const answer = answers[`${method} ${url!.split('?')[0]}`];
  response.writeHead(answer ? 200 : 404, { connection: 'close' }).end(JSON.stringify(answer ?? {}));
});
await once(gateway.listen(0, '127.0.0.1'), 'listening');
const live = { engine: 'kubernetes', namespace: 'tearoom', overlay: 'live', registry: 'images.example' };
const environments = {
  live: { ...live, url: `http://127.0.0.1:${(gateway.address() as AddressInfo).port}` },
  'without-gateway': live,
  'without-context': { ...live, context: 'missing' },
};
workspace.write(
  'jogakbo.config.ts',
  `export default ${JSON.stringify({ name: 'tearoom', languages: ['fr'], environments })};\n`,
);
afterAll(() => {
  gateway.close();
  rmSync(workspace.root, { recursive: true });
});

let cluster: ApiServer;
const printed: string[] = [];
beforeEach(async () => {
  printed.length = 0;
  answers['GET /v1/ops/instances'] = { items: [instance('tea', '2', '2'), instance('coffee', '1', 'c')] };
  for (const method of ['log', 'error'] as const)
    jest.spyOn(console, method).mockImplementation((text: string) => void printed.push(text));
  cluster = new ApiServer('tearoom');
  await cluster.start();
  for (const [name, version] of [
    ['tea', '2'],
    ['coffee', '1'],
  ]) {
    const deployment = objects.find((one) => one.kind === 'Deployment' && one.metadata.name === name)!;
    const copy = structuredClone(deployment) as unknown as Deployment;
    copy.spec.template.spec.containers[0]!.image = `images.example/${name}:${version}`;
    cluster.put(copy);
  }
  workspace.write('kubeconfig', cluster.kubeconfig);
});
afterEach(async () => {
  jest.restoreAllMocks();
  await cluster.stop();
});

async function run(...args: string[]): Promise<{ code: number; text: string }> {
  printed.length = 0;
  return { code: await runCommandLine(args), text: printed.join('\n') };
}
const getImage = (name: string) =>
  cluster.find<Deployment>('Deployment', name)!.spec.template.spec.containers[0]!.image;

describe('an environment', () => {
  it.each([['deploy', '--plan'], ['rollback', 'tea'], ['scale', 'tea', '2'], ['history']])(
    'that is not declared is refused by %s',
    async (...args) => {
      const { code, text } = await run(...args, '--environment', 'dark');
      expect(code).toBe(2);
      expect(text).toContain('There is no environment dark.');
      expect(text).toContain('one of local, live, without-gateway, without-context');
    },
  );

  it('whose cluster does not respond is one clear error', async () => {
    await cluster.stop();
    const { code, text } = await run('rollback', 'tea', '--environment', 'without-gateway');
    expect({ code, text }).toEqual({
      code: 1,
      text: expect.stringMatching(
        /^\nThe environment without-gateway cannot be reached; nothing was changed\.\n\n {2}The Kubernetes API at http:\S+ does not respond: .*ECONNREFUSED.*\n\nWhat to do:\n {2}- check the context/,
      ),
    });
    await cluster.start();
  });

  it('whose context is missing is one clear error', async () => {
    const { code, text } = await run('deploy', '--environment', 'without-context');
    expect(code).toBe(1);
    expect(text).toContain('The kubeconfig has no context missing; nothing was changed.');
    expect(text).toContain('its contexts are: test');
  });
});

it('a plan compares the workspace with what runs in the environment', async () => {
  const { code, text } = await run('deploy', '--plan', '--environment', 'without-gateway');
  expect({ code, text }).toEqual({ code: 0, text: expect.stringContaining('deploy') });
  expect(text).toMatch(/deploy {2}tea +2 → 1\.0\.0-[0-9a-f]{10}\n +what 2 was built of is unknown/);
  expect(text).toContain('2 of 2 services differ from what is running in without-gateway');
  expect(cluster.writes).toEqual([]);
});

it('a second command is refused, with the name of the one that deploys', async () => {
  const spec = { holderIdentity: 'mina on laptop, process 7', renewTime: new Date().toISOString() };
  cluster.put({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'jogakbo-deploy' },
    spec,
  });
  const { code, text } = await run('rollback', 'tea', '--environment', 'without-gateway');
  expect({ code, text }).toEqual({ code: 1, text: expect.stringContaining('mina on laptop, process 7') });
  expect(cluster.writes).toEqual([]);
});

it('a rollback that would break a running consumer is refused, with the consumer and the field', async () => {
  const { code, text } = await run('rollback', 'tea', '--to', '1', '--environment', 'live');
  expect(code).toBe(1);
  expect(text).toContain('A rollback of tea to 1 would break what is running; nothing was changed.');
  expect(text).toMatch(/tea\.brew {2}output grams: is not sent, but is required\n +breaks coffee 1/);
  expect(new Set(cluster.writes)).toEqual(new Set(['post Lease jogakbo-deploy', 'put Lease jogakbo-deploy']));
});

// The overlay is rendered by kubectl.
const problem = findKubectlProblem();
if (problem) console.warn(`A rollback in Kubernetes is not tested: ${problem}.`);
(problem ? describe.skip : describe)('a rollback in Kubernetes', () => {
  it('runs the earlier version, and every machine sees it in the history', async () => {
    const { code, text } = await run(
      'rollback',
      'tea',
      '--to',
      '1',
      '--environment',
      'without-gateway',
      '-m',
      'too bitter',
    );
    expect({ code, text }).toEqual({ code: 0, text: expect.stringContaining('tea 1 is deployed') });
    expect([getImage('tea'), getImage('coffee')]).toEqual([
      'images.example/tea:1',
      'images.example/coffee:1',
    ]);
    const { text: history } = await run('history', 'tea', '--environment', 'without-gateway');
    expect(history).toMatch(/ tea +1 +promoted .* too bitter$/m);
    // Without a version, back to the one before.
    expect(await run('rollback', 'tea', '--environment', 'without-gateway')).toMatchObject({ code: 0 });
    expect(getImage('tea')).toBe('images.example/tea:2');
    expect(cluster.problems).toEqual([]);
  });

  it('keeps the current version if the earlier one does not start, with the end of its log', async () => {
    cluster.behave = () => ({ exitCode: 78, log: ['Error: no kettle'] });
    const { code, text } = await run('rollback', 'tea', '--to', '1', '--environment', 'without-gateway');
    expect(code).toBe(1);
    expect(text).toMatch(
      /tea 1 was rolled back after .*: its process ended \(code 78\)\.\ntea 2 keeps running\./,
    );
    expect(text).toContain('Error: no kettle');
    expect(getImage('tea')).toBe('images.example/tea:2');
  });

  it('reports a cluster that went away in the middle', async () => {
    cluster.behave = ({ image }) => {
      if (image === 'images.example/tea:1') void cluster.stop();
      return {};
    };
    const { code, text } = await run('rollback', 'tea', '--to', '1', '--environment', 'without-gateway');
    expect({ code, text }).toEqual({
      code: 1,
      text: expect.stringMatching(/beside the current version\n\nThe Kubernetes API at \S+ does not respond/),
    });
    await cluster.start();
  });

  it('is possible while the registry fails, and then compares no contracts', async () => {
    answers['GET /v1/ops/instances'] = undefined;
    const { code, text } = await run('rollback', 'tea', '--to', '1', '--environment', 'live');
    expect({ code, text }).toEqual({
      code: 0,
      text: expect.stringContaining('note: contracts are not compared: GET /v1/ops/instances returned 404'),
    });
    expect(text).not.toContain('% of the calls');
    expect(getImage('tea')).toBe('images.example/tea:1');
  });

  it('undoes what a killed command has left', async () => {
    const id = '019a';
    const record = {
      id,
      service: 'tea',
      to: '1',
      outcome: 'running',
      startedAt: '2026-01-01',
      by: 'any',
      reason: 'any',
    };
    const labels = {
      ...{ 'app.kubernetes.io/name': 'tea', 'app.kubernetes.io/part-of': 'tearoom' },
      'app.kubernetes.io/component': 'deployments',
    };
    const metadata = { name: 'tea-deployments', labels };
    cluster.put({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata,
      data: { history: JSON.stringify([record]) },
    });
    const left = structuredClone(cluster.find('Deployment', 'tea')!);
    cluster.put({ ...left, metadata: { ...left.metadata, name: 'tea-1' } });
    await run('rollback', 'tea', '--to', '3', '--environment', 'without-gateway');
    expect(cluster.writes).toContain('delete Deployment tea-1');
    expect((await run('history', '--environment', 'without-gateway')).text).toMatch(/interrupted/);
  });
});
