import { z } from 'zod';
import { service, type Input } from '@jogakbo/contract';
import { ChangeSettings } from '@jogakbo/contracts-config';
import { GetMemberEmail } from '@jogakbo/contracts-identity';
import { environmentOnly, live, Service, settings, start, type RunningService } from '@jogakbo/service';
import { ServiceUnderTest } from '@jogakbo/testing';
import { ConfigModule } from '../src/config.module.ts';

export const passwords = { toys: 'the-password-of-toys', loans: 'the-password-of-the-loans' };
/** Applications that have a config password and no running instances. */
const otherApplications = ['kept', 'apart', 'told', 'back', 'crowd', 'picky', 'stone'];
const memberId = '01890000-0000-7000-8000-000000000001';
export const operator = { caller: { memberId, roles: ['member', 'operator'] } };
export const email = 'operator@jogakbo.example';

/** Starts a config server and a stub of identity. */
export async function startServer(environment: NodeJS.ProcessEnv = {}): Promise<ServiceUnderTest> {
  const server = await ServiceUnderTest.start(ConfigModule, {
    CONFIG_KEY: 'a key that is long enough for the tests',
    CONFIG_CLIENTS: JSON.stringify({
      ...Object.fromEntries(otherApplications.map((name) => [name, 'the-password-of-another'])),
      ...passwords,
    }),
    ...environment,
  });
  await server.stub('identity', [[GetMemberEmail, () => ({ email })]]);
  return server;
}

/** Sets values as an operator. Null deletes a setting. @returns the new version */
export async function set(
  server: ServiceUnderTest,
  application: string,
  values: Record<string, string | null>,
  more: Partial<Input<typeof ChangeSettings>> & { secret?: boolean } = {},
): Promise<number> {
  const { secret, ...rest } = more;
  const changes = Object.entries(values).map(([key, value]) => ({
    key,
    value,
    ...(secret !== undefined && { secret }),
  }));
  const command = { application, reason: 'a test', settings: changes, ...rest };
  return (await server.ask(ChangeSettings, command, operator)).version;
}

export class ToySettings extends settings({
  limit: live(z.coerce.number().int().min(1).max(100).default(10)),
  colour: z.enum(['red', 'blue']).default('red'),
  token: live(z.string().optional()),
  address: environmentOnly(z.url().default('https://toys.example')),
  /** The schema transforms this text to a function. */
  trusts: z
    .string()
    .default('none')
    .transform((name) => (other: string) => other === name),
}) {}

@Service({ contract: service('toys'), settings: ToySettings })
class ToysModule {}

/** Starts a service that has settings and no handlers. */
export async function startToys(
  server: Pick<ServiceUnderTest, 'broker'>,
  environment: NodeJS.ProcessEnv = {},
): Promise<RunningService & { settings: ToySettings }> {
  const running = await start(ToysModule, {
    environment: {
      RABBITMQ_URL: server.broker.url,
      CONFIG_PASSWORD: passwords.toys,
      LOG_LEVEL: 'error',
      ...environment,
    },
  });
  return { ...running, settings: running.app.get(ToySettings) };
}
