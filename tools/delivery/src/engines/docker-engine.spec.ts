// Against a stand-in for the command line of Docker, which keeps containers in memory: what Docker really does with these
// commands was tried by hand (README.md).
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { NotReady } from '../engine.ts';
import { type CommandResult, ComposeProject } from './compose-project.ts';
import { ComposeVersions } from './compose-versions.ts';
import { DockerEngine } from './docker-engine.ts';

interface FakeContainer {
  id: string;
  service: string;
  image: string;
  labels: Record<string, string>;
  state: { Running: boolean; ExitCode: number; Health?: { Status: string } };
}

type Files = { services: Record<string, { image?: string; labels?: Record<string, string> }> };

/** Containers of one project, and the commands of Docker that the engine uses. */
class FakeDocker {
  containers: FakeContainer[] = [];
  readonly commands: string[] = [];
  /** The exit code of the next migration. */
  migration = 0;
  /** How containers of an image are after their start. */
  getState: (image: string) => FakeContainer['state'] = () => ({
    Running: true,
    ExitCode: 0,
    Health: { Status: 'healthy' },
  });
  #count = 0;

  readonly run = async ([, ...command]: readonly string[]): Promise<CommandResult> => {
    const [name, ...args] = command as [string, ...string[]];
    const done = (stdout = '', code = 0): CommandResult => ({
      code,
      stdout,
      lines: stdout.split('\n').filter(Boolean),
    });
    if (name === 'compose') return this.#compose(args, done);
    if (name !== 'ps' && name !== 'inspect') this.commands.push(command.slice(0, 4).join(' '));
    if (name === 'ps') {
      const wanted = args
        .find((arg) => arg.includes('compose.service='))!
        .split('=')
        .at(-1);
      return done(
        this.containers
          .filter(({ service }) => service === wanted)
          .map(({ id }) => id)
          .join('\n'),
      );
    }
    if (name === 'inspect')
      return done(
        JSON.stringify(
          this.containers
            .filter(({ id }) => args.includes(id))
            .map(({ id, labels, state }) => ({
              Id: id,
              RestartCount: 0,
              State: state,
              Config: { Labels: labels },
            })),
        ),
      );
    if (name === 'exec') return done('process_resident_memory_bytes{service="tea"} 5000000\n');
    if (name === 'logs') return done('Error: no water');
    if (name === 'rm') this.containers = this.containers.filter(({ id }) => !args.includes(id));
    return done();
  };

  start(
    service: string,
    { image = '', labels = {} }: Files['services'][string],
    more: Record<string, string> = {},
  ): void {
    this.#count += 1;
    this.containers.push({
      id: `c${this.#count}`,
      service,
      image,
      labels: { ...labels, ...more },
      state: this.getState(image),
    });
  }

  #compose(args: readonly string[], done: (stdout?: string, code?: number) => CommandResult): CommandResult {
    const files = args.filter((_, index) => args[index - 1] === '--file');
    const services = Object.assign(
      {},
      ...files.map((file) => (parse(readFileSync(file, 'utf8')) as Files).services),
    ) as Files['services'];
    const service = args.at(-1)!;
    const verb = args.includes('run') ? 'run' : 'up';
    this.commands.push(`${verb} ${service}`);
    if (service.endsWith('-migrate')) return done('migrated nothing', this.migration);
    const label = args[args.indexOf('--label') + 1]!.split('=') as [string, string];
    if (verb === 'run') this.start(service, services[service]!, { [label[0]]: label[1] });
    else {
      const current = this.containers.filter(
        (one) => one.service === service && !one.labels['jogakbo.candidate'],
      );
      const isSame = current.every(
        ({ image, state }) => image === (services[service]!.image ?? '') && state.Running,
      );
      if (isSame && current.length > 0) return done();
      this.containers = this.containers.filter((one) => !current.includes(one));
      for (let count = Number(args[args.indexOf('--scale') + 1]!.split('=')[1]); count > 0; count -= 1)
        this.start(service, services[service]!);
    }
    return done();
  }
}

const release = { service: 'tea', version: '2' };
let folder: string;
let docker: FakeDocker;
let versions: ComposeVersions;
let shifts: number[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jogakbo-docker-'));
  const file = join(folder, 'docker-compose.yml');
  writeFileSync(file, 'services:\n  tea: {}\n  tea-migrate: {}\n  cups: {}\n');
  docker = new FakeDocker();
  shifts = [];
  versions = new ComposeVersions(
    join(folder, 'state'),
    file,
    ({ service, version }) => `shop/${service}:${version}`,
  );
  for (const _ of [1, 2]) docker.start('tea', {});
});
afterEach(() => rmSync(folder, { recursive: true }));

const createEngine = (timeoutMs = 50) =>
  new DockerEngine({
    ...{ environment: 'test', versions, timeoutMs, pollMs: 2 },
    project: new ComposeProject({
      project: 'shop',
      files: [join(folder, 'docker-compose.yml'), versions.file],
      run: docker.run,
    }),
    shift: async (_release, percent) => shifts.push(percent) > 0,
  });
const getImages = () =>
  docker.containers.map(({ image, labels }) => `${image}${labels['jogakbo.candidate'] ? ' beside' : ''}`);

describe('the start of a version', () => {
  it('migrates, and then runs as many containers as the current version beside it', async () => {
    await createEngine().start(release);
    expect(docker.commands).toEqual(['run tea-migrate', 'run tea', 'run tea']);
    expect(getImages()).toEqual(['', '', 'shop/tea:2 beside', 'shop/tea:2 beside']);
  });

  it('starts nothing if a migration fails, and returns its output', async () => {
    docker.migration = 3;
    await expect(createEngine().start(release)).rejects.toMatchObject({
      message: 'its migrations did not run (code 3)',
      lines: ['migrated nothing'],
    });
    expect(getImages()).toEqual(['', '']);
  });

  it.each([
    [{ Running: false, ExitCode: 9 }, 'its process ended (code 9)'],
    [{ Running: true, ExitCode: 0, Health: { Status: 'starting' } }, 'it was not healthy after 0.05 s'],
  ])('rejects a version whose container is %j', async (state, reason) => {
    docker.getState = () => state;
    const error = await createEngine()
      .start(release)
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(NotReady);
    expect(error).toMatchObject({ message: reason, lines: ['Error: no water'] });
  });
});

describe('a promotion', () => {
  it('replaces the containers of the service, and then removes those beside them', async () => {
    const engine = createEngine();
    await engine.start(release);
    await engine.promote(release);
    expect(docker.commands.slice(3)).toEqual(['up tea', 'stop -t 20 c3', 'rm --force c3 c4']);
    expect(getImages()).toEqual(['shop/tea:2', 'shop/tea:2']);
    expect(shifts).toEqual([0]);
    expect(versions.get('tea')).toBe('2');
  });

  it('goes back to the version before if the new containers are not healthy', async () => {
    const engine = createEngine();
    await engine.start({ service: 'tea', version: '1' });
    await engine.promote({ service: 'tea', version: '1' });
    await engine.start(release);
    docker.getState = (image) => ({ Running: image !== 'shop/tea:2', ExitCode: 4 });
    await expect(engine.promote(release)).rejects.toThrow('its process ended (code 4)');
    await engine.withdraw(release);
    expect([getImages(), versions.get('tea')]).toEqual([['shop/tea:1', 'shop/tea:1'], '1']);
  });
});

describe('a withdrawal', () => {
  it('removes the containers beside the current version, which stays untouched', async () => {
    const engine = createEngine();
    await engine.start(release);
    await engine.withdraw(release);
    expect([getImages(), docker.commands.includes('up tea')]).toEqual([['', ''], false]);
    await engine.withdraw(release);
    expect(getImages()).toEqual(['', '']);
  });

  it('finishes what a killed promotion has left', async () => {
    const engine = createEngine();
    await engine.start({ service: 'tea', version: '1' });
    await engine.promote({ service: 'tea', version: '1' });
    await engine.start(release);
    docker.containers[0]!.state = { Running: false, ExitCode: 143 };
    await createEngine().withdraw(release);
    expect(getImages()).toEqual(['shop/tea:1', 'shop/tea:1']);
    expect(docker.containers.map(({ state }) => state.Running)).toEqual([true, true]);
  });
});

it('measures both versions', async () => {
  const engine = createEngine();
  await engine.start(release);
  docker.containers.at(-1)!.state = { Running: false, ExitCode: 1 };
  const measured = await engine.measure('tea');
  expect(measured.get('')).toMatchObject({ instances: 2, ready: 2, restarts: 0, memory: 5_000_000 });
  expect(measured.get('2')).toMatchObject({ instances: 2, ready: 1, restarts: 1 });
});

it('the Compose file of the versions names images, and no service that does not exist', () => {
  versions.keep({ service: 'tea', version: '2' });
  versions.keep({ service: 'removed', version: '1' });
  expect(parse(readFileSync(versions.file, 'utf8'))).toEqual({
    services: {
      tea: { image: 'shop/tea:2', environment: { SERVICE_VERSION: '2' }, labels: { 'jogakbo.version': '2' } },
      'tea-migrate': { image: 'shop/tea:2' },
    },
  });
});

it('a Docker that is not installed is reported, with what to do', async () => {
  const project = new ComposeProject({ project: 'shop', files: [], compose: ['surely-not-installed'] });
  await expect(project.compose('version')).rejects.toThrow('surely-not-installed cannot be started');
});
