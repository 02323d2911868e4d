import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { readStaff } from '@jogakbo/cli/src/supervisor/staff.ts';
import { openState } from '@jogakbo/cli/src/supervisor/state.ts';
import { nodePath, root } from '@jogakbo/cli/src/workspace.ts';
import { type Store } from '../../src/store.ts';

export function contracts(store: Store): void {
  /** A workspace with some of the built services, which a test can change. */
  class Candidates {
    readonly folder: string;

    constructor(name: string, services: string[]) {
      this.folder = join(store.folder, name);
      for (const service of services) {
        const app = join('apps', service);
        mkdirSync(join(this.folder, app), { recursive: true });
        for (const part of ['package.json', 'dist'])
          cpSync(join(root, app, part), join(this.folder, app, part), { recursive: true });
      }
      cpSync(join(root, 'package.json'), join(this.folder, 'package.json'));
      symlinkSync(join(root, 'node_modules'), join(this.folder, 'node_modules'));
    }

    getFile(service: string, file = 'contract.json'): string {
      return join(this.folder, 'apps', service, 'dist', file);
    }

    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a contract with any change
    change(service: string, change: (contract: any) => void): void {
      const contract = JSON.parse(readFileSync(this.getFile(service), 'utf8'));
      change(contract);
      writeFileSync(this.getFile(service), JSON.stringify(contract));
    }

    check(args: string[] = [], env: NodeJS.ProcessEnv = {}) {
      return store.run(['contracts', 'check', ...args], { JOGAKBO_WORKSPACE: this.folder, ...env });
    }
  }

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above
  const find = (list: any[], name: string) => list.find((one) => one.name === name);

  describe('jogakbo contracts', () => {
    it('permits what is running', async () => {
      const { code, output } = await store.run(['contracts', 'check']);
      expect({ code, output }).toEqual({
        code: 0,
        output: expect.stringContaining('may be deployed, in this order:'),
      });
      expect(await store.run(['contracts', 'check', 'catalog'])).toEqual({
        code: 0,
        output: 'catalog may be deployed.\n',
      });
    });

    it('lists the running versions', async () => {
      const { code, output } = await store.run(['contracts', 'list', '--json']);
      expect(code).toBe(0);
      const versions = JSON.parse(output) as { service: string; contractHash: string }[];
      expect(versions.map(({ service }) => service).sort()).toEqual([
        'catalog',
        'config',
        'gateway',
        'identity',
        'payments',
        'registry',
      ]);
      expect((await store.run(['contracts', 'list'])).output).toContain(versions[0]!.contractHash);
    });

    it('refuses a change that breaks a running consumer, with its version, the field and the way out', async () => {
      const candidates = new Candidates('breaking', ['identity']);
      candidates.change('identity', ({ events }) => {
        const { data } = find(events, 'identity.tokens-revoked');
        delete data.properties.until;
        data.required = ['memberId'];
      });
      const { code, output } = await candidates.check();
      expect({ code, output }).toEqual({
        code: 1,
        output: expect.stringMatching(
          /^identity cannot be deployed:\n {2}identity\.tokens-revoked {2}data until: is not sent, but is required\n {4}breaks gateway \S+\n {4}way out: .*identity\.tokens-revoked\.v2/,
        ),
      });
      const json = await candidates.check(['--json']);
      expect(json.code).toBe(1);
      expect(JSON.parse(json.output)).toMatchObject({
        breakages: [{ name: 'identity.tokens-revoked', path: 'until', consumer: { service: 'gateway' } }],
      });
    });

    it('refuses a change that breaks clients of a public route', async () => {
      const candidates = new Candidates('public', ['catalog']);
      candidates.change('catalog', (contract) => {
        contract.requests = contract.requests.filter(
          ({ http }: { http?: { path: string } }) => http?.path !== '/v1/products/{productId}',
        );
      });
      const { code, output } = await candidates.check(['catalog']);
      expect(code).toBe(1);
      expect(output).toContain(
        'http: GET /v1/products/{} does not exist\n    breaks clients of the public API',
      );
    });

    it('orders services that need each other, and refuses a consumer alone', async () => {
      const candidates = new Candidates('order', ['gateway', 'identity']);
      candidates.change('gateway', ({ uses }) => {
        find(uses, 'identity.list-revocations').sends.properties.since = { type: 'string' };
      });
      const alone = await candidates.check(['gateway']);
      expect(alone.code).toBe(1);
      expect(alone.output).toMatch(
        /input since: is sent, but such a field is not accepted\n {4}needed, but not offered by identity \S+/,
      );
      candidates.change('identity', ({ requests }) => {
        find(requests, 'identity.list-revocations').input.properties.since = { type: 'string' };
      });
      expect(await candidates.check()).toEqual({
        code: 0,
        output: '2 services may be deployed, in this order: identity, gateway.\n',
      });
    });

    it('refuses a migration that breaks the running version, unless nothing uses what it removes', async () => {
      const candidates = new Candidates('migration', ['catalog']);
      const addMigration = (fields: string) => {
        const file = candidates.getFile('catalog', 'main.js');
        const bundle = readFileSync(join(root, 'apps/catalog/dist/main.js'), 'utf8');
        const migration = `class NoName1900000000000 { ${fields} async up(runner) { await runner.query('ALTER TABLE product RENAME name TO title'); } }`;
        const changed = bundle.replace(/(migrations: \[\s*\.\.\.consistencyMigrations,)/, `$1 ${migration},`);
        expect(changed).not.toBe(bundle);
        writeFileSync(file, changed);
        const described = execFileSync(nodePath(), [file, 'describe'], { encoding: 'utf8' });
        writeFileSync(candidates.getFile('catalog'), JSON.stringify(JSON.parse(described).contract));
      };
      addMigration('');
      const refused = await candidates.check();
      expect(refused.code).toBe(1);
      expect(refused.output).toMatch(
        /its migration NoName1900000000000 would break \S+, which is running:\n {2}the column product\.name is dropped or renamed\n/,
      );
      addMigration(`static unusedSince = '0.1.0';`);
      expect(await candidates.check()).toEqual({ code: 0, output: 'catalog may be deployed.\n' });
      addMigration(`static unusedSince = '99.0.0';`);
      expect((await candidates.check()).output).toContain('way out: deploy catalog 99.0.0 first');
    });

    it('checks another environment as its operator', async () => {
      const { email, password } = readStaff(openState(store.home)).find(({ roles }) =>
        roles.includes('operator'),
      )!;
      const url = `http://127.0.0.1:${store.port}`;
      const check = (env: NodeJS.ProcessEnv) =>
        store.run(['contracts', 'check', 'catalog', '--url', url], {
          JOGAKBO_HOME: join(store.folder, 'elsewhere'),
          ...env,
        });
      expect(await check({ JOGAKBO_OPERATOR_EMAIL: email, JOGAKBO_OPERATOR_PASSWORD: password })).toEqual({
        code: 0,
        output: 'catalog may be deployed.\n',
      });
      expect(await check({})).toEqual({ code: 2, output: expect.stringContaining('JOGAKBO_OPERATOR_EMAIL') });
      const wrong = await check({ JOGAKBO_OPERATOR_EMAIL: email, JOGAKBO_OPERATOR_PASSWORD: 'wrong' });
      expect(wrong).toEqual({ code: 2, output: expect.stringContaining('POST /v1/sessions returned 401') });
    });

    it('ends with one clear error if it cannot check', async () => {
      const candidates = new Candidates('broken', ['catalog']);
      const expectError = async (outcome: Promise<{ code: number | null; output: string }>, text: string) => {
        const { code, output } = await outcome;
        expect({ code, output }).toEqual({ code: 2, output: expect.stringContaining(text) });
        expect(output).not.toMatch(/^\s+at /m);
      };
      await expectError(candidates.check(['catalogue']), 'did you mean catalog?');
      await expectError(candidates.check(['--url', 'nowhere']), '"nowhere" is not the URL of a gateway');
      const operator = { JOGAKBO_OPERATOR_EMAIL: 'a@example.com', JOGAKBO_OPERATOR_PASSWORD: 'x' };
      await expectError(
        candidates.check(['--url', 'http://127.0.0.1:1'], operator),
        'The gateway http://127.0.0.1:1 does not respond',
      );
      candidates.change('catalog', ({ requests }) => (requests[0].input = 5));
      await expectError(candidates.check(), 'requests.0.input: is not a JSON Schema');
      writeFileSync(candidates.getFile('catalog'), '{ "service":');
      await expectError(candidates.check(), 'apps/catalog/dist/contract.json is not a contract');
      await expectError(
        new Candidates('unbuilt', ['catalog']).check([], { JOGAKBO_HOME: join(store.folder, 'none') }),
        'The store is not running',
      );
    });
  });
}
