import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { DatabaseSettings, isMarked, PlatformSettings, type AnySettings } from '@jogakbo/service/settings';
import { listApps, root } from '../src/workspace.ts';

/** Name of a setting that decides which peers a service trusts, or which addresses it uses. */
const securityRelevant =
  /(url|host|port|issuer|audience|origins|upstreams|(?<!Per)networks?|proxy|readers|service|operator|keys?|clients|staff|mode|retryDelays)$/i;

/** @returns the settings by `app.field` */
async function readSettings(): Promise<Map<string, AnySettings['shape'][string]>> {
  const classes: [string, AnySettings][] = [
    ['every service', PlatformSettings],
    ['every service', DatabaseSettings],
  ];
  for (const { name, folder } of listApps()) {
    const path = join(folder, 'src', 'settings.ts');
    if (!existsSync(path)) continue;
    const module = (await import(path)) as Record<string, AnySettings>;
    classes.push(
      ...Object.values(module).flatMap((one) => (one.shape ? [[name, one] as [string, AnySettings]] : [])),
    );
  }
  return new Map(
    classes.flatMap(([name, { shape }]) =>
      Object.entries(shape).map(([field, schema]) => [`${name}.${field}`, schema] as const),
    ),
  );
}

it.each(['migrate', 'keys', undefined])(
  'a built service reports a missing setting that %s needs',
  (command) => {
    const { main } = listApps().find(({ hasDatabase }) => hasDatabase)!;
    const { status, stderr } = spawnSync(process.execPath, [main, ...(command ? [command] : [])], {
      cwd: root,
      encoding: 'utf8',
      env: { PATH: process.env.PATH },
    });
    expect({ status, stderr }).toEqual({
      status: 78,
      stderr: expect.stringMatching(/ of its settings are wrong.\n {2}[A-Z_]+ \(not set\): is missing/),
    });
  },
);

describe('the settings of all services', () => {
  it('come from the environment only if they decide about trusted peers or addresses', async () => {
    const all = await readSettings();
    expect(all.size).toBeGreaterThan(50);
    const wrong = [...all].filter(([name, schema]) => {
      const field = name.split('.')[1]!;
      return securityRelevant.test(field) && !isMarked(schema, 'environmentOnly');
    });
    expect(wrong.map(([name]) => name)).toEqual([]);
    const fixed = [...all].filter(([, schema]) => isMarked(schema, 'environmentOnly')).map(([name]) => name);
    expect(fixed).toEqual(
      expect.arrayContaining([
        ...['gateway.identityService', 'gateway.corsOrigins', 'gateway.trustProxy', 'gateway.tokenIssuer'],
        ...['every service.host', 'every service.brokerOperator', 'identity.staff'],
      ]),
    );
    // An environment variable cannot change while the service runs.
    expect([...all].filter(([, one]) => isMarked(one, 'environmentOnly') && isMarked(one, 'live'))).toEqual(
      [],
    );
  });
});
