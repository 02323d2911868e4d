import { environmentOnly, secret, settings } from '@jogakbo/service';
import { z } from 'zod';

export class NotificationsSettings extends settings(
  {
    smtpUrl: environmentOnly(
      secret(
        z
          .url({ protocol: /^smtps?$/ })
          .optional()
          .describe(
            'smtp://user:password@host:port, or smtps://. Required outside local mode, where mail needs TLS unless the ' +
              'URL ends in ?requireTLS=false. If it is not set in local mode, mail goes to the local mailbox',
          ),
      ),
    ),
    mailFrom: z
      .string()
      .regex(/^([^<>\r\n]+<[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+)$/, 'an address, or: Name <address>')
      .default('Jogakbo <no-reply@jogakbo.example>')
      .describe('sender of all mail'),
  },
  ({ smtpUrl }, { localMode }) => ({
    smtpUrl:
      !localMode &&
      smtpUrl === undefined &&
      'is missing: set it, or LOCAL_MODE=true to store all mail in the local mailbox',
  }),
) {}
