import { randomUUID } from 'node:crypto';
import { MemberRegistered } from '@jogakbo/contracts-identity';
import { contractTests } from '@jogakbo/testing/contract-tests';
import { NotificationsModule } from '../src/notifications.module.ts';

const memberId = randomUUID();

contractTests(NotificationsModule, {
  environment: { LANGUAGES: 'ko,en' },
  known: { memberId: [memberId] },
  prepare: (notifications) =>
    notifications.announce(
      MemberRegistered({ memberId, email: 'kim@example.com', name: 'Kim', language: 'ko' }),
    ),
});
