import { notifications } from '@jogakbo/contracts-notifications';
import { consistencyMigrations } from '@jogakbo/consistency';
import { Service } from '@jogakbo/service';
import { Mail1700000003000 } from '../migrations/1700000003000-mail.ts';
import { MailOrder1700000003100 } from '../migrations/1700000003100-mail-order.ts';
import { NoNames1700000003200 } from '../migrations/1700000003200-no-names.ts';
import { ListMailboxHandler } from './list-mailbox.ts';
import { MailOrderOutcomeHandler } from './mail-order-outcome.ts';
import { MailServer } from './mail-server.ts';
import { MailSink, ReceivedMail } from './mail-sink.ts';
import { Mail } from './mail.ts';
import { Member } from './member.ts';
import { SendMailHandler } from './send-mail.ts';
import { NotificationsSettings } from './settings.ts';
import { WarnOfSignUpHandler } from './warn-of-sign-up.ts';
import { WelcomeMemberHandler } from './welcome-member.ts';

@Service({
  contract: notifications,
  settings: NotificationsSettings,
  migrations: [...consistencyMigrations, Mail1700000003000, MailOrder1700000003100, NoNames1700000003200],
  entities: [Member, Mail, ReceivedMail],
  providers: [MailSink, MailServer],
  handlers: [
    WelcomeMemberHandler,
    WarnOfSignUpHandler,
    MailOrderOutcomeHandler,
    SendMailHandler,
    ListMailboxHandler,
  ],
})
export class NotificationsModule {}
