import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
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
import { type Outcome, PlatformCopy, repository } from './platform-copy.ts';

jest.setTimeout(60_000);

const folders = ['apps', 'libs/contracts'].flatMap((parent) => [`${parent}/letters`, `${parent}/audit`]);

/** On failure, Jest prints the output. */
const expectSuccess = ({ code, output }: Outcome) => expect(code === 0 ? 'well' : output).toBe('well');

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
  });

  it('nx g reports bad input in one line, and changes nothing', async () => {
    const { code, output } = await workspace.nx('g', '@jogakbo/generators:service', 'Gift-Cards');
    expect([code, output]).toEqual([
      1,
      expect.stringContaining('"Gift-Cards" cannot be the name of a service'),
    ]);
    expect(output).not.toMatch(/stack|at .*\.ts/);
    expect(await workspace.listChanges()).toEqual([]);
  });

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
    installProjects(workspace.root, folders);
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
      dependencies: { '@jogakbo/contracts-letters': '*' },
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
    '%p rejects %p',
    async (generator, options, reason) => {
      const tree = new FsTree(workspace.root, false);
      await expect(generator(tree, options)).rejects.toThrow(reason);
    },
  );

  it('everything is built', async () => {
    expectSuccess(await workspace.nx('run-many', '-t', 'build', '-p', 'letters,audit'));
    const { contracts } = JSON.parse(workspace.read('apps/letters/dist/bus.json')) as {
      contracts: { name: string }[];
    };
    expect(contracts.map(({ name }) => name)).toContain('letters.archive-letter');
  });

  // One process for all folders: one for each project takes three times as long.
  it.each([
    ['lint', 'eslint/bin/eslint.js', folders],
    ['the type check', 'typescript-native/bin/tsc', ['--project', 'tsconfig.generated.json']],
    ['the format', 'prettier/bin/prettier.cjs', ['--check', ...folders]],
  ])('%s finds nothing', async (_, program, args) => {
    const types = {
      extends: './tsconfig.base.json',
      include: folders.map((folder) => `${folder}/**/*.ts`),
    };
    writeFileSync(join(workspace.root, 'tsconfig.generated.json'), JSON.stringify(types));
    expectSuccess(await workspace.run(process.execPath, [`node_modules/${program}`, ...args]));
    rmSync(join(workspace.root, 'tsconfig.generated.json'));
  });
});
