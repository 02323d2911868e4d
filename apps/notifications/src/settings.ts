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
            'smtp://user:password@host:port, or smtps://. Outside local mode required, and never without TLS unless it ' +
              'ends in ?requireTLS=false. In local mode without it mail ends in the local mailbox',
          ),
      ),
    ),
    mailFrom: z
      .string()
      .regex(/^([^<>\r\n]+<[^<>@\s]+@[^<>@\s]+>|[^<>@\s]+@[^<>@\s]+)$/, 'an address, or: Name <address>')
      .default('Jogakbo <no-reply@jogakbo.example>')
      .describe('whom mail comes from'),
  },
  ({ smtpUrl }, { localMode }) => ({
    smtpUrl:
      !localMode &&
      smtpUrl === undefined &&
      'is missing: set it, or LOCAL_MODE=true to keep all mail in the local mailbox',
  }),
) {}
