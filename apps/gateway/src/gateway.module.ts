import { service } from '@jogakbo/contract';
import { Service } from '@jogakbo/service';
import { Documents } from './documents.ts';
import { Forward } from './forward.ts';
import { HttpUpstreams } from './http-upstream.ts';
import { KnownServices } from './known-services.ts';
import { ReadyToServe } from './ready-to-serve.ts';
import { RequestLog } from './request-log.ts';
import { GatewaySettings } from './settings.ts';
import { Tokens } from './tokens.ts';
import { Waiting } from './wait.ts';

@Service({
  contract: service('gateway', 'The public door.'),
  settings: GatewaySettings,
  providers: [KnownServices, Tokens, Forward, HttpUpstreams, Waiting, Documents, RequestLog, ReadyToServe],
})
export class GatewayModule {}
