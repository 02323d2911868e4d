import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { formatMegabytes } from '@jogakbo/cli/src/terminal/text-table.ts';
import { nodePath, root } from '@jogakbo/cli/src/workspace.ts';
import { until } from '../../src/jogakbo.ts';
import { type Store } from '../../src/store.ts';

export function settings(store: Store): void {
  const runConfig = (...args: string[]) => store.run(['config', ...args]);
  const runConfigJson = async (...args: string[]) => JSON.parse((await runConfig(...args, '--json')).output);

  /** Runs `config set payments` with a value on standard input. */
  const setFromInput = (input: string, ...args: string[]) =>
    spawnSync(nodePath(), [join(root, 'tools/cli/src/main.ts'), 'config', 'set', 'payments', ...args], {
      ...{ input: `${input}\n`, encoding: 'utf8' as const },
      env: { ...process.env, JOGAKBO_HOME: store.home },
    });

  describe('jogakbo config', () => {
    it('sets a value that takes effect at once, shows who set it, and rolls back', async () => {
      const set = await runConfig('set', 'catalog', 'logLevel=debug', '--reason', 'a closer look');
      expect(set).toEqual({ code: 0, output: 'catalog/default is at version 1.\n  logLevel: in force\n' });
      expect((await runConfig('explain', 'catalog', 'logLevel')).output).toMatch(
        /logLevel +debug +live +config server, version 1 of catalog\/default by operator@jogakbo.example/,
      );
      expect((await runConfig('explain', 'catalog')).output).toMatch(/databaseUrl +\*{6} +environment/);
      await runConfig('set', 'catalog', 'logLevel=error', '-m', 'seen enough');
      const back = await runConfig('rollback', 'catalog', '--to', '1', '-m', 'not yet');
      expect(back.output).toContain('catalog/default is at version 3.\n  logLevel: in force');
      const { output } = await runConfig('history', 'catalog');
      expect(output).toMatch(
        /version 3 .*\n {2}not yet \(back to version 1\)\n {4}logLevel +error +→ +debug/,
      );
      expect(await runConfigJson('history', 'catalog', '--from', '1', '--to', '2')).toEqual([
        { key: 'logLevel', before: 'debug', after: 'error' },
      ]);
      expect(await runConfigJson('get', 'catalog')).toMatchObject({
        version: 3,
        items: [{ key: 'logLevel', value: 'debug' }],
      });
      expect((await runConfig('get')).output).toMatch(/catalog\/default +3 +operator@jogakbo.example/);
    });

    it('changes a limit of the gateway without a restart', async () => {
      const { output } = await runConfig('set', 'gateway', 'requestTimeout=4000', '-m', 'impatient');
      expect(output).toContain('requestTimeout: in force');
    });

    it('rejects invalid values and unknown settings, and stores nothing', async () => {
      const before = (await runConfigJson('get', 'catalog')).version;
      const wrong = await runConfig(
        'set',
        'catalog',
        'logLevel=loud',
        'logLevl=debug',
        'port=x',
        '-m',
        'a slip',
      );
      expect(wrong.code).toBe(2);
      expect(wrong.output).toMatch(/logLevel: Invalid option/);
      expect(wrong.output).toContain('logLevl: there is no such setting; did you mean logLevel?');
      expect(wrong.output).toMatch(/port: /);
      const unknown = await runConfig('set', 'cataloge', 'logLevel=debug', '-m', 'a slip');
      expect(unknown).toMatchObject({ code: 2, output: expect.stringContaining('did you mean catalog?') });
      const shared = await runConfig('set', 'application', 'logLevel=loud', 'sandboxDely=1', '-m', 'a slip');
      expect(shared).toMatchObject({ code: 2, output: expect.stringContaining('logLevel: Invalid option') });
      const post = (application: string) =>
        store.call('POST', `/v1/ops/config/${application}/versions`, {
          ...{
            token: store.getToken('operator'),
            body: { reason: 'a slip', settings: [{ key: 'logLevl', value: 'debug' }] },
          },
        });
      expect(await post('catalog')).toMatchObject({
        status: 422,
        body: { code: 'invalid-settings', errors: [{ path: 'logLevl' }] },
      });
      expect(await post('cataloge')).toMatchObject({ status: 422, body: { code: 'unknown-service' } });
      expect((await runConfigJson('get', 'catalog')).version).toBe(before);
      expect((await runConfig('get', 'application')).output).toContain('sets nothing');
    });

    it('deletes a setting, and suggests the closest name for an unknown one', async () => {
      const none = await runConfig('delete', 'catalog', 'loglevl', '-m', 'a slip');
      expect(none).toMatchObject({ code: 2, output: expect.stringContaining('did you mean logLevel?') });
      const deleted = await runConfig('delete', 'catalog', 'logLevel', '-m', 'as it was');
      expect(deleted).toMatchObject({
        code: 0,
        output: expect.stringContaining('logLevel: in force: the default'),
      });
      expect((await runConfig('rollback', 'catalog', '--to', '3', '-m', 'back')).output).toContain(
        'in force',
      );
    });

    it('keeps a secret out of all output, logs and files', async () => {
      const secret = 'a-secret-at-the-provider-4711';
      const results = [
        setFromInput(`${secret}-0`, 'providerToken', '--secret', '-m', 'new'),
        setFromInput(secret, 'providerToken', '-m', 'newer'),
      ];
      for (const { status, stdout } of results)
        expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining('providerToken') });
      const screens = await Promise.all([
        runConfig('get', 'payments'),
        runConfig('history', 'payments'),
        runConfig('explain', 'payments'),
        runConfigJson('get', 'payments'),
      ]);
      expect(JSON.stringify([results, screens])).not.toContain(secret);
      expect(screens[0]!.output).toMatch(/providerToken +\*{6}/);
      for (const folder of ['logs', 'config-cache'].map((name) => join(store.home, name))) {
        for (const file of readdirSync(folder))
          expect(readFileSync(join(folder, file), 'utf8')).not.toContain(secret);
      }
      for (const name of ['config-key', 'config-clients.json', 'config-cache/catalog.json'])
        expect(statSync(join(store.home, name)).mode & 0o777).toBe(0o600);
    });

    it.each([
      [['frob'], '"config" does not know "frob"'],
      [['set', 'catalog', 'a=b'], '--reason'],
      [['set', 'catalog', '-m', 'x'], 'key=value'],
      [['set', 'catalog', '-m', 'x', 'no key!=1'], 'words separated by dots'],
      [['rollback', 'catalog', '-m', 'x'], '--to N'],
      [['explain'], 'needs the name of a service'],
    ])('rejects %j with exit code 2', async (args, reason) => {
      const { code, output } = await runConfig(...args);
      expect({ code, output }).toEqual({ code: 2, output: expect.stringContaining(reason) });
    });

    it('requires an operator', async () => {
      const { token } = await store.createMember();
      for (const path of [
        '',
        '/catalog',
        '/catalog/versions',
        '/catalog/in-force',
        '/catalog/diff?from=1&to=2',
      ]) {
        expect((await store.call('GET', `/v1/ops/config${path}`)).status).toBe(401);
        expect((await store.call('GET', `/v1/ops/config${path}`, { token })).status).toBe(403);
      }
      const body = { reason: 'x', settings: [{ key: 'a', value: 'b' }] };
      expect((await store.call('POST', '/v1/ops/config/catalog/versions', { token, body })).status).toBe(403);
    });

    it('needs less than 95 MB, and the store works while it is down', async () => {
      const row = (await store.findRow('config'))!;
      expect(row.memory).toBeGreaterThan(0);
      expect([formatMegabytes(row.memory), row.memory < 95 * 1024 ** 2]).toEqual([
        formatMegabytes(row.memory),
        true,
      ]);
      process.kill(row.pid!, 'SIGKILL');
      for (let i = 0; i < 20; i++) expect((await store.call('GET', '/v1/products?limit=1')).status).toBe(200);
      await until(async () => (await store.findRow('config'))?.state === 'ready');
      await until(async () => (await runConfig('set', 'catalog', `logLevel=warn`, '-m', 'back')).code === 0);
    });
  });
}
