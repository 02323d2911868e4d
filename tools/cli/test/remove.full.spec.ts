import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import generateEvent from '@jogakbo/generators/event';
import { PlatformCopy } from '@jogakbo/generators/platform-copy';
import generateService from '@jogakbo/generators/service';
import { installProjects } from '@jogakbo/generators/workspace-packages';
import { flushChanges, FsTree } from 'nx/src/generators/tree';

jest.setTimeout(60_000);

const workspace = new PlatformCopy();
// The command line reads it when it is imported.
process.env.JOGAKBO_WORKSPACE = workspace.root;
process.env.NX_CACHE_DIRECTORY ??= workspace.buildCache;
const { removeService } = await import('../src/commands/remove.ts');
const { compose } = await import('../src/commands/compose.ts');

/** Runs a generator and writes its files. */
async function generate(run: (tree: FsTree) => Promise<unknown>): Promise<void> {
  const tree = new FsTree(workspace.root, false);
  await run(tree);
  flushChanges(workspace.root, tree.listChanges());
}

async function addServices(): Promise<void> {
  for (const name of ['letters', 'audit']) {
    await generate((tree) => generateService(tree, { name }));
    installProjects(workspace.root, [`apps/${name}`, `libs/contracts/${name}`]);
  }
}

describe('jogakbo remove service', () => {
  const printed: string[] = [];

  beforeAll(async () => {
    for (const method of ['log', 'error'] as const)
      jest.spyOn(console, method).mockImplementation((text: string) => void printed.push(text));
    await compose({ write: true });
    await workspace.commit();
    await addServices();
  });
  afterAll(() => {
    jest.restoreAllMocks();
    workspace.remove();
  });

  it.each([
    ['gateway', 'gateway is a part of the platform'],
    ['cards', 'There is no service called cards'],
    ['../apps', 'There is no service called ../apps'],
  ])('refuses %s', (name, reason) => expect(removeService(name, { yes: true })).rejects.toThrow(reason));

  it('needs a confirmation, or --yes', async () => {
    await expect(removeService('audit', {})).rejects.toMatchObject({
      remedies: [expect.stringContaining('--yes')],
    });
    expect(existsSync(join(workspace.root, 'apps/audit'))).toBe(true);
  });

  it('deletes no data while the store is stopped', async () => {
    await expect(removeService('audit', { data: true, yes: true })).rejects.toThrow(
      'while the store is stopped',
    );
    expect(existsSync(join(workspace.root, 'apps/audit'))).toBe(true);
  });

  it('shows with --dry-run what it would remove, and what Git cannot restore', async () => {
    printed.length = 0;
    expect(await removeService('audit', { dryRun: true })).toBe(0);
    expect(printed.join('\n')).toMatch(
      /removes apps\/audit \(12 files\)\nremoves libs\/contracts\/audit \(3 files\)/,
    );
    expect(printed.join('\n')).toContain('15 of these files are in no commit');
    expect(existsSync(join(workspace.root, 'apps/audit'))).toBe(true);
  });

  it('refuses while another service needs it, names what it uses, and then leaves no trace', async () => {
    await generate((tree) =>
      generateEvent(tree, { service: 'letters', name: 'letter-added', handledBy: 'audit' }),
    );
    await expect(removeService('letters', { yes: true })).rejects.toMatchObject({
      details: ['apps/audit receives letters.letter-added'],
    });
    expect(await removeService('audit', { yes: true })).toBe(0);
    expect(await removeService('letters', { yes: true })).toBe(0);
    // The other derived files had the services of the whole workspace.
    const changed = (await workspace.listChanges()).filter(
      (line) => !/docs\/(map|reference|CODEOWNERS)|deploy\/kubernetes/.test(line),
    );
    expect(changed).toEqual([]);
    for (const name of ['letters', 'contracts-letters'])
      expect(existsSync(join(workspace.root, 'node_modules/@jogakbo', name))).toBe(false);
  }, 120_000);
});
