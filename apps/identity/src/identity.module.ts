import { identity } from '@jogakbo/contracts-identity';
import { consistencyMigrations } from '@jogakbo/consistency';
import { Service } from '@jogakbo/service';
import { Members1700000002000 } from '../migrations/1700000002000-members.ts';
import { Trust1700000002100 } from '../migrations/1700000002100-trust.ts';
import { OpenId1700000002200 } from '../migrations/1700000002200-openid.ts';
import { Revocations1700000002300 } from '../migrations/1700000002300-revocations.ts';
import { SignUpMails1700000002400 } from '../migrations/1700000002400-sign-up-mails.ts';
import { AccessTokens } from './access-tokens.ts';
import { AnswerPageHandler } from './answer-page.ts';
import { AuditEntry } from './audit.ts';
import { ChangeRolesHandler } from './change-roles.ts';
import { Credentials } from './credentials.ts';
import { ExpiredSessions } from './expired-sessions.ts';
import { GetJwksHandler } from './get-jwks.ts';
import { GetMeHandler } from './get-me.ts';
import { GetMemberEmailHandler } from './get-member-email.ts';
import { GetOpenIdConfigurationHandler } from './get-openid-configuration.ts';
import { Hashing } from './hashing.ts';
import { ListAuditHandler } from './list-audit.ts';
import { ListRevocationsHandler } from './list-revocations.ts';
import { Member } from './member.ts';
import { RefreshSessionHandler } from './refresh-session.ts';
import { RotateSigningKeyHandler } from './rotate-signing-key.ts';
import { RefreshToken, Session } from './session.ts';
import { IdentitySettings } from './settings.ts';
import { SignInLimits } from './sign-in-limits.ts';
import { SignInHandler } from './sign-in.ts';
import { SignOutEverywhereHandler } from './sign-out-everywhere.ts';
import { SignOutHandler } from './sign-out.ts';
import { SignUpMails } from './sign-up-mails.ts';
import { SignUpHandler } from './sign-up.ts';
import { SigningKey, SigningKeys } from './signing-keys.ts';
import { StaffAccounts } from './staff-accounts.ts';

@Service({
  contract: identity,
  settings: IdentitySettings,
  migrations: [
    ...consistencyMigrations,
    Members1700000002000,
    Trust1700000002100,
    OpenId1700000002200,
    Revocations1700000002300,
    SignUpMails1700000002400,
  ],
  entities: [Member, Session, RefreshToken, SigningKey, AuditEntry],
  providers: [
    SigningKeys,
    AccessTokens,
    Hashing,
    SignInLimits,
    SignUpMails,
    Credentials,
    StaffAccounts,
    ExpiredSessions,
  ],
  handlers: [
    SignUpHandler,
    SignInHandler,
    RefreshSessionHandler,
    SignOutHandler,
    SignOutEverywhereHandler,
    ListRevocationsHandler,
    GetMeHandler,
    GetMemberEmailHandler,
    GetJwksHandler,
    GetOpenIdConfigurationHandler,
    AnswerPageHandler,
    ChangeRolesHandler,
    RotateSigningKeyHandler,
    ListAuditHandler,
  ],
})
export class IdentityModule {}
