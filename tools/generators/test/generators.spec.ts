import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Tree } from '@nx/devkit';
import { flushChanges, FsTree } from 'nx/src/generators/tree';
import { loadContracts } from '../src/contracts.ts';
import { findDependants } from '../src/dependants.ts';
import generateEvent from '../src/event/generator.ts';
import { createExample } from '../src/example.ts';
import generateMigration from '../src/migration/generator.ts';
import generateProjection from '../src/projection/generator.ts';
import generateCommand from '../src/request/command.ts';
import generateQuery from '../src/request/query.ts';
import generateSaga from '../src/saga/generator.ts';
import generateService from '../src/service/generator.ts';
import { installProjects } from '../src/workspace-packages.ts';
import { PlatformCopy, repository } from './platform-copy.ts';

it('every event of this workspace has an example', async () => {
  const all = await Promise.all(
    readdirSync(join(repository, 'libs/contracts')).map((service) => loadContracts(repository, service)),
  );
  const events = all.flat().filter(({ contract }) => contract.kind === 'event');
  expect(events.length).toBeGreaterThan(0);
  const missing = events.filter(({ contract }) => createExample(contract.input) === undefined);
  expect(missing.map(({ contract }) => contract.name)).toEqual([]);
});

describe('in a workspace', () => {
  let workspace: PlatformCopy;

  /** Runs a generator and writes its files. */
  async function generate<Options>(
    generator: (tree: Tree, options: Options) => Promise<unknown>,
    options: Options,
  ): Promise<string[]> {
    const tree = new FsTree(workspace.root, false);
    await generator(tree, options);
    const changes = tree.listChanges();
    flushChanges(workspace.root, changes);
    return changes.map(({ type, path }) => `${type} ${path}`).sort();
  }

  beforeAll(async () => {
    workspace = new PlatformCopy();
    for (const derived of ['compose', 'map'])
      expect(await workspace.jogakbo(derived, '--write')).toMatchObject({ code: 0 });
    await workspace.commit();
  }, 120_000);
  afterAll(() => workspace.remove());

  it('nx g prints its help, and --dry-run writes nothing', async () => {
    const help = await workspace.nx('g', 'service', '--help');
    expect(help).toMatchObject({ code: 0, output: expect.stringContaining('--entity') });
    const { code, output } = await workspace.nx('g', 'service', 'letters', '--dry-run');
    expect([code, output]).toEqual([0, expect.stringContaining('CREATE apps/letters/src/add-letter.ts')]);
    expect(output).toContain('UPDATE package-lock.json');
    expect(await workspace.listChanges()).toEqual([]);
  }, 60_000);

  it('nx g reports bad input in one line, and changes nothing', async () => {
    const { code, output } = await workspace.nx('g', '@jogakbo/generators:service', 'Gift-Cards');
    expect([code, output]).toEqual([
      1,
      expect.stringContaining('"Gift-Cards" cannot be the name of a service'),
    ]);
    expect(output).not.toMatch(/stack|at .*\.ts/);
    expect(await workspace.listChanges()).toEqual([]);
  }, 60_000);

  it('a service is two folders', async () => {
    const created = await generate(generateService, { name: 'letters' });
    expect(created).toContain('UPDATE package-lock.json');
    expect(
      created.filter((change) => !/^CREATE (apps|libs\/contracts)\/letters\//.test(change)),
    ).toHaveLength(1);
    await generate(generateService, { name: 'audit', entity: 'log-entry', owner: 'Control' });
    expect(JSON.parse(workspace.read('apps/audit/package.json'))).toMatchObject({
      jogakbo: { owner: 'Control' },
    });
    installProjects(
      workspace.root,
      ['apps', 'libs/contracts'].flatMap((folder) => [`${folder}/letters`, `${folder}/audit`]),
    );
  });

  it('messages, sagas, projections and migrations are added to it', async () => {
    const service = 'letters';
    await generate(generateCommand, {
      service,
      name: 'archive-letter',
      route: 'POST /v1/letters/{letterId}/archive',
      access: 'member',
    });
    await generate(generateCommand, { service, name: 'send-letter' });
    await generate(generateQuery, {
      service,
      name: 'get-letter',
      route: 'GET /v1/letters/{letterId}',
      access: 'public',
    });
    await generate(generateEvent, { service, name: 'letter-archived' });
    await generate(generateSaga, { service, name: 'follow-up', event: 'letters.letter-added' });
    await generate(generateEvent, { service, name: 'letter-added', handledBy: 'audit' });
    await generate(generateProjection, {
      service: 'audit',
      name: 'recent-letters',
      event: 'letters.letter-added',
    });
    await generate(generateMigration, {
      service,
      name: 'letter-colour',
      up: 'ALTER TABLE letter ADD colour text',
      down: 'ALTER TABLE letter DROP colour',
    });
    expect(workspace.read('apps/letters/src/letters.module.ts')).toMatch(
      /handlers: \[\s*AddLetterHandler,\s*ListLettersHandler,\s*ArchiveLetterHandler,\s*SendLetterHandler,\s*GetLetterHandler,?\s*\],\s*sagas: \[followUp\]/,
    );
    expect(workspace.read('apps/letters/src/letters.module.ts')).toMatch(
      /Letters\d{13}, LetterColour\d{13}\]/,
    );
    expect(workspace.read('apps/audit/src/audit.module.ts')).toContain(
      '...consistencyMigrations, ...eventStoreMigrations',
    );
    expect(JSON.parse(workspace.read('apps/audit/package.json'))).toMatchObject({
      dependencies: { '@jogakbo/contracts-letters': '0.1.0' },
    });
    expect(await findDependants(workspace.root, 'letters')).toEqual([
      { folder: 'apps/audit', uses: ['receives letters.letter-added'] },
    ]);
  });

  it.each([
    [generateService, { name: 'letters' }, '"letters" exists already'],
    [generateService, { name: 'gateway' }, '"gateway" exists already'],
    [
      generateService,
      { name: 'cards', entity: 'letter' },
      'POST /v1/letters cannot be used: letters.add-letter',
    ],
    [generateService, { name: 'cards', entity: 'class' }, 'reserved word'],
    [generateService, { name: 'cards', owner: '\u0007' }, 'the name of a team'],
    [generateCommand, { service: 'cards', name: 'send' }, 'There is no service "cards".'],
    [generateCommand, { service: 'gateway', name: 'send' }, 'gateway has no contract'],
    [generateCommand, { service: 'letters', name: 'add-letter' }, 'add-letter'],
    [generateCommand, { service: 'letters', name: 'letter' }, 'letter'],
    [generateCommand, { service: 'letters', name: 'burn', access: 'public' }, '--access needs --route'],
    [
      generateCommand,
      { service: 'letters', name: 'burn', route: 'POST /v1/burnt' },
      'needs an access policy',
    ],
    [
      generateCommand,
      { service: 'letters', name: 'burn', route: 'POST /v1/burnt', access: 'wizard' },
      'no access policy "wizard"',
    ],
    [
      generateCommand,
      { service: 'letters', name: 'burn', route: 'GET /v1/burnt', access: 'public' },
      'A command changes something',
    ],
    [
      generateCommand,
      { service: 'letters', name: 'burn', route: 'burnt', access: 'public' },
      '"burnt" is not a route',
    ],
    [
      generateQuery,
      { service: 'letters', name: 'all', route: 'GET /v1/letters', access: 'public' },
      'letters.list-letters has the route',
    ],
    [
      generateEvent,
      { service: 'letters', name: 'letter-added' },
      'letters already has the event letter-added',
    ],
    [
      generateEvent,
      { service: 'letters', name: 'letter-added', handledBy: 'letters' },
      'publishes the event itself',
    ],
    [generateEvent, { service: 'letters', name: 'letter-added', handledBy: 'audit' }, 'would be overwritten'],
    [
      generateSaga,
      { service: 'letters', name: 'other', event: 'letters.letter-lost' },
      'letters has no event "letters.letter-lost"',
    ],
    [
      generateSaga,
      { service: 'letters', name: 'other', event: 'cards.card-added' },
      'no contract of a service "cards"',
    ],
    [
      generateSaga,
      { service: 'letters', name: 'other', event: 'letter-added' },
      'not the full name of an event',
    ],
    [
      generateSaga,
      { service: 'letters', name: 'other', event: 'letters.letter-added', key: 'no' },
      'has no text field "no"',
    ],
    [
      generateSaga,
      { service: 'letters', name: 'follow-up', event: 'letters.letter-added' },
      'would be overwritten',
    ],
    [
      generateProjection,
      { service: 'letters', name: 'all', event: 'letters.letter-added' },
      'an event of letters itself',
    ],
    [generateMigration, { service: 'letters', name: 'Letter' }, 'cannot be the name of a migration'],
  ] as [(tree: Tree, options: object) => Promise<unknown>, object, string][])(
    '%o rejects %o',
    async (generator, options, reason) => {
      const tree = new FsTree(workspace.root, false);
      await expect(generator(tree, options)).rejects.toThrow(reason);
    },
  );

  it('everything passes lint, typecheck, test and build', async () => {
    const projects = ['letters', 'audit', 'contracts-letters', 'contracts-audit'].join();
    const { code, output } = await workspace.nx(
      'run-many',
      '-t',
      'lint,typecheck,test,build',
      '-p',
      projects,
    );
    expect(code === 0 ? 'well' : output).toBe('well');
    expect(JSON.parse(workspace.read('apps/letters/dist/bus.json'))).toMatchObject({ service: 'letters' });
  }, 120_000);

  it('is formatted', async () => {
    const { code, output } = await workspace.run(process.execPath, [
      'node_modules/prettier/bin/prettier.cjs',
      '--check',
      'apps/letters',
      'apps/audit',
      'libs/contracts',
    ]);
    expect(code === 0 ? 'well' : output).toBe('well');
  }, 30_000);

  it.each([
    ['gateway', 1, 'is a part of the platform'],
    ['cards', 2, 'There is no service called cards'],
    ['../apps', 2, 'There is no service called ../apps'],
  ])('remove service refuses %s', async (name, code, reason) => {
    expect(await workspace.jogakbo('remove', 'service', name, '--yes')).toEqual({
      code,
      output: expect.stringContaining(reason),
    });
  });

  it('remove service needs a confirmation', async () => {
    const { code, output } = await workspace.jogakbo('remove', 'service', 'audit');
    expect([code, output]).toEqual([2, expect.stringContaining('--yes')]);
    expect(existsSync(join(workspace.root, 'apps/audit'))).toBe(true);
  });

  it('remove service refuses while another service needs it, and then leaves no trace', async () => {
    const refused = await workspace.jogakbo('remove', 'service', 'letters', '--yes');
    expect([refused.code, refused.output]).toEqual([
      1,
      expect.stringContaining('apps/audit receives letters.letter-added'),
    ]);
    for (const service of ['audit', 'letters']) {
      const dry = await workspace.jogakbo('remove', 'service', service, '--dry-run');
      expect([dry.code, dry.output]).toEqual([0, expect.stringContaining(`removes apps/${service}`)]);
      expect(await workspace.jogakbo('remove', 'service', service, '--yes')).toMatchObject({ code: 0 });
    }
    expect(await workspace.listChanges()).toEqual([]);
    expect(existsSync(join(workspace.root, 'node_modules/@jogakbo/letters'))).toBe(false);
  }, 120_000);
});
