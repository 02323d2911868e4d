import { spawnSync } from 'node:child_process';
import { expect, it } from '@jest/globals';
import { nodePath, root } from '../src/workspace.ts';

it('tests do not inherit settings of a store from the environment', () => {
  const set = {
    ...{
      JOGAKBO_SEED_PASSWORD: 'chosen',
      JOGAKBO_HOME: '/elsewhere',
      JOGAKBO_TLS: '1',
      PORT: '1',
      HOST: '::',
    },
    ...{ RABBITMQ_URL: 'amqp://other', DATABASE_URL: 'postgresql://other', PROVIDER_URL: 'http://other' },
    ...{
      SMTP_URL: 'smtp://other',
      LOG_LEVEL: 'trace',
      STAFF: '[]',
      CONFIG_KEY_FILE: '/k',
      SERVICE_VERSION: '9',
    },
  };
  const kept = { TEST_DATABASE_URL: 'postgresql://test', PATH: process.env.PATH };
  const script = `await import('./jest.config.mjs'); console.log(JSON.stringify(process.env))`;
  const { stdout } = spawnSync(nodePath(), ['--input-type=module', '--eval', script], {
    ...{ cwd: root, encoding: 'utf8', env: { ...set, ...kept } },
  });
  expect(JSON.parse(stdout)).toEqual(kept);
});
