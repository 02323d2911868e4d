import { Readiness } from '@jogakbo/service';
import { Injectable } from '@nestjs/common';
import { KnownServices } from './known-services.ts';
import { Revocations } from './revocations.ts';
import { GatewaySettings } from './settings.ts';
import { Tokens } from './tokens.ts';

/** Ready means more than a broker: the gateway knows routes it can serve. */
@Injectable()
export class ReadyToServe {
  constructor(
    readiness: Readiness,
    private readonly services: KnownServices,
    private readonly settings: GatewaySettings,
    tokens: Tokens,
    revocations: Revocations,
  ) {
    readiness.add('routes', () => this.#missingRoutes());
    readiness.add('tokens', () => {
      const closed = services.table.routes.some(({ access }) => access !== 'public');
      if (!closed) return undefined;
      return revocations.isCurrent ? tokens.whyNot() : 'it is not known which access tokens are revoked';
    });
  }

  #missingRoutes(): string | undefined {
    const missing = this.settings.readyRoutes.filter((wanted) => {
      const [method, path] = wanted.split(' ') as [string, string];
      const match = this.services.table.find(method, path);
      return match.found !== 'route' || !this.services.serves(match.route);
    });
    return missing.length > 0 ? `nobody serves ${missing.join(', ')}` : undefined;
  }
}
