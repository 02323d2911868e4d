import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { recordPassword } from '../data-password.ts';
import { startDockerBroker } from './docker-broker.ts';

let folder: string;
const path = process.env.PATH;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jogakbo-docker-'));
  process.env.PATH = [folder, path].join(delimiter);
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(folder, { recursive: true });
});

it('gets its secrets as files, so that docker inspect and ps do not show them', async () => {
  // A fake docker: records its arguments and copied files; its container is never running.
  writeFileSync(
    join(folder, 'docker'),
    `#!/bin/sh\necho "$@" >> ${folder}/calls\n[ "$1" = cp ] && cp -p "$2" ${folder}/$(basename "$3")\nexit 0\n`,
  );
  chmodSync(join(folder, 'docker'), 0o755);
  const place = {
    ...{ folder: join(folder, 'rabbitmq'), logs: folder, name: 'jogakbo-x', password: 'hush-hush' },
    ...{ ports: { amqp: 1, management: 2, distribution: 3, epmd: 4 }, throwaway: true },
  };
  mkdirSync(place.folder, { mode: 0o755 });
  await expect(startDockerBroker(place, () => undefined)).rejects.toThrow(/did not become ready/);

  const calls = readFileSync(join(folder, 'calls'), 'utf8');
  expect(calls).toMatch(
    /^create .* rabbitmq:\S+\ncp \S+ \S+:\/etc\/rabbitmq\/conf\.d\/\S+\.conf\ncp .*\nstart /m,
  );
  expect(calls).not.toMatch(/hush-hush|^run /m);
  expect(calls.match(/--env \S+/g)).toEqual(['--env RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-rabbit']);
  expect(readFileSync(join(folder, '90-operator.conf'), 'utf8')).toBe(
    'default_user = jogakbo\ndefault_pass = hush-hush\n',
  );
  expect(statSync(place.folder).mode & 0o777).toBe(0o700);
  expect(calls).toMatch(/^cp \S+ \S+:\/var\/lib\/rabbitmq\/\.erlang\.cookie$/m);
  expect(readFileSync(join(folder, '.erlang.cookie'), 'utf8')).toMatch(/^[\w-]{43}$/);
  expect(statSync(join(folder, '.erlang.cookie')).mode & 0o777).toBe(0o400);
});

const createConfiguration = (password = 'hush-hush') => ({
  ...{ folder: join(folder, 'rabbitmq'), logs: folder, name: 'jogakbo-x', password },
  ...{ ports: { amqp: 1, management: 2, distribution: 3, epmd: 4 }, throwaway: false },
});

it('a start can be cancelled while the image is pulled', async () => {
  const script = `#!/bin/sh\ncase "$1" in image) exit 1;; pull) exec sleep 20;; esac\n`;
  writeFileSync(join(folder, 'docker'), script, { mode: 0o755 });
  const controller = new AbortController();
  const starting = startDockerBroker({ ...createConfiguration(), abort: controller.signal }, () =>
    setTimeout(() => controller.abort(new Error('the store is stopping')), 100),
  );
  const began = Date.now();
  await expect(starting).rejects.toThrow('the store is stopping');
  expect(Date.now() - began).toBeLessThan(10_000);
});

it('keeps the volume of a broker with a lost password under another name', async () => {
  const script = `#!/bin/sh\necho "$@" >> ${folder}/calls\n`;
  writeFileSync(join(folder, 'docker'), script, { mode: 0o755 });
  const configuration = createConfiguration('new');
  mkdirSync(configuration.folder);
  recordPassword(configuration.folder, 'lost');
  await expect(startDockerBroker(configuration, () => undefined)).rejects.toThrow(/did not become ready/);
  expect(readFileSync(join(folder, 'calls'), 'utf8')).toMatch(
    /^run .*jogakbo-rabbitmq-x:\/from:ro .*jogakbo-rabbitmq-x-of-a-lost-store-\d+:\/to .*\nvolume rm jogakbo-rabbitmq-x\ncreate /m,
  );
});
