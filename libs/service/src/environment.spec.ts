import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readSetting } from './environment.ts';
import { loadDatabaseSettings } from './serve.ts';
import { ServiceSettings } from './service-settings.ts';
import { PlatformSettings } from './settings.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jogakbo-settings-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function file(content: string, mode = 0o600): string {
  const path = join(folder, 'secret');
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}
const open = (environment: NodeJS.ProcessEnv) =>
  ServiceSettings.open('shop', [PlatformSettings], {
    ...{ RABBITMQ_URL: 'amqp://127.0.0.1:1', LOCAL_MODE: 'true' },
    ...environment,
  });

describe('a setting that is given as a file', () => {
  it('is read', async () => {
    const path = file('amqp://shop:hush@127.0.0.1:1\n', 0o400);
    const { instances } = await open({ RABBITMQ_URL: undefined, RABBITMQ_URL_FILE: path });
    expect(instances[0]).toMatchObject({ rabbitmqUrl: 'amqp://shop:hush@127.0.0.1:1' });
    const DATABASE_URL_FILE = file('postgres://shop:hush@127.0.0.1/shop\n');
    expect(loadDatabaseSettings({ DATABASE_URL_FILE })).toMatchObject({
      databaseUrl: 'postgres://shop:hush@127.0.0.1/shop',
    });
  });

  it('is rejected together with a value', async () => {
    const opening = open({
      CONFIG_PASSWORD: 'a-password-of-mine',
      CONFIG_PASSWORD_FILE: file('another-of-mine!'),
    });
    await expect(opening).rejects.toThrow(
      'CONFIG_PASSWORD (environment): is set twice, by CONFIG_PASSWORD and by CONFIG_PASSWORD_FILE: unset one of them',
    );
    // Compose sets empty variables.
    const path = file('another-of-mine!');
    expect(readSetting('A', { A: '', A_FILE: path }, true)).toMatchObject({ value: 'another-of-mine!' });
    expect(readSetting('A', { A: 'x', A_FILE: '' }, true)).toMatchObject({
      origin: 'environment',
      value: 'x',
    });
  });

  it('is rejected if the file is missing, empty or not text', async () => {
    const path = join(folder, 'away');
    await expect(open({ SERVICE_KEY_FILE: path })).rejects.toThrow(
      `SERVICE_KEY (file named by SERVICE_KEY_FILE): ${path} does not exist`,
    );
    await expect(open({ SERVICE_KEY_FILE: file(' \n') })).rejects.toThrow(/secret is empty$/);
    await expect(open({ SERVICE_KEY_FILE: folder })).rejects.toThrow(/cannot be read: EISDIR$/);
  });

  it.each(['644', '640', '604', '660', '622'])('is rejected as a secret with mode %s', async (mode) => {
    const path = file('a-password-of-mine', Number.parseInt(mode, 8));
    // A group may read files of root: Kubernetes mounts secrets this way.
    const isAllowed = mode === '640' && process.getuid?.() === 0;
    const opening = open({ CONFIG_PASSWORD_FILE: path });
    if (isAllowed) await expect(opening).resolves.toBeDefined();
    else
      await expect(opening).rejects.toThrow(
        `${path} can be read by other users of this machine: chmod 600 ${path}`,
      );
  });

  it('may be readable by others if it is not secret', async () => {
    const { instances } = await open({ LOG_LEVEL_FILE: file('debug', 0o644) });
    expect(instances[0]).toMatchObject({ logLevel: 'debug' });
  });
});
