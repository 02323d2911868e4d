import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  ListRevocations,
  MemberRegistered,
  RefreshSession,
  SignIn,
  SignUp,
} from '@jogakbo/contracts-identity';
import { start } from '@jogakbo/service';
import { ServiceUnderTest } from '@jogakbo/testing';
import { decodeJwt } from 'jose';
import { IdentityModule } from '../src/identity.module.ts';

const issuer = 'https://store.example';
const operator = {
  email: 'Operator@store.example',
  name: 'Operator',
  password: 'first password',
  roles: ['member', 'operator'],
};

describe('staff', () => {
  let folder: string;
  let file: string;
  let identity: ServiceUnderTest;

  const writeStaffFile = (staff: unknown) =>
    writeFile(file, typeof staff === 'string' ? staff : JSON.stringify(staff), { mode: 0o600 });
  const signIn = (email: string, password: string) => identity.ask(SignIn, { email, password });
  const getRoles = async (email: string, password: string) =>
    decodeJwt((await signIn(email, password)).accessToken)['roles'];
  const readRegistered = async () =>
    (
      await identity.query<{ email: string }>(
        `SELECT data->>'email' AS email FROM outbox WHERE name = $1 ORDER BY 1`,
        [MemberRegistered.name],
      )
    ).map(({ email }) => email);

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'jogakbo-staff-'));
    file = path.join(folder, 'staff.json');
    await writeStaffFile([operator]);
    identity = await ServiceUnderTest.start(IdentityModule, {
      TOKEN_ISSUER: issuer,
      LANGUAGES: 'ko,en',
      ROLES: 'moderator',
      STAFF_FILE: file,
    });
  });
  afterAll(async () => {
    await identity.stop();
    await rm(folder, { recursive: true });
  });

  it('is created at start, with an event', async () => {
    await expect(getRoles('operator@store.example', 'first password')).resolves.toEqual(operator.roles);
    await expect(readRegistered()).resolves.toEqual(['operator@store.example']);
  });

  it('is unchanged by a restart', async () => {
    const hash = () => identity.query('SELECT password_hash FROM member');
    const before = await hash();
    await identity.restart();
    await expect(hash()).resolves.toEqual(before);
    await expect(readRegistered()).resolves.toHaveLength(1);
  });

  it('receives the password and roles of the file', async () => {
    await writeStaffFile([{ ...operator, password: 'second password', roles: ['operator'] }]);
    await identity.restart();
    await expect(signIn('operator@store.example', 'first password')).rejects.toMatchObject({
      code: 'wrong-credentials',
    });
    await expect(getRoles('operator@store.example', 'second password')).resolves.toEqual(['operator']);
    // One revocation for the roles, and one for the sessions of the old password.
    expect((await identity.ask(ListRevocations, {})).revocations).toMatchObject([
      ...[{ generation: 2 }, { generation: 1 }],
    ]);
    await expect(readRegistered()).resolves.toHaveLength(1);
  });

  it('replaces a member who had signed up with the address', async () => {
    const email = 'moderator@store.example';
    await identity.ask(SignUp, { email, password: 'of somebody else', name: 'Mallory' });
    const { refreshToken } = await signIn(email, 'of somebody else');
    await writeStaffFile([{ ...operator, email, roles: ['moderator'] }]);
    await identity.restart();
    await expect(signIn(email, 'of somebody else')).rejects.toMatchObject({ code: 'wrong-credentials' });
    await expect(identity.ask(RefreshSession, { refreshToken })).rejects.toMatchObject({
      code: 'refresh-token-refused',
    });
    await expect(getRoles(email, operator.password)).resolves.toEqual(['moderator']);
  });

  it.each([
    ['is not JSON', '[{"password": "hush-hush"', 'is not JSON'],
    ['contains an unknown role', [{ ...operator, password: 'hush-hush', roles: ['king'] }], '0.roles.0: '],
  ])('prevents the start if the file %s', async (_, content, problem) => {
    await writeStaffFile(content);
    // Settings are validated before any connection is opened, so these addresses are not called.
    const environment = {
      RABBITMQ_URL: 'amqp://127.0.0.1:1',
      DATABASE_URL: 'postgres://127.0.0.1:1/nothing',
      SERVICE_KEY: randomBytes(32).toString('base64url'),
      TOKEN_ISSUER: issuer,
      LANGUAGES: 'ko,en',
      ROLES: 'moderator',
      STAFF_FILE: file,
    };
    const error = await start(IdentityModule, { environment }).then(
      () => undefined,
      (reason: Error) => reason,
    );
    expect(error).toMatchObject({
      name: 'WrongSettings',
      wrong: [
        { key: 'STAFF', origin: 'file named by STAFF_FILE', problem: expect.stringContaining(problem) },
      ],
    });
    expect(error?.message).not.toContain('hush-hush');
  });
});
