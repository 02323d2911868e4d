import { Readiness } from '@jogakbo/service';
import { Injectable } from '@nestjs/common';
import { KnownServices } from './known-services.ts';
import { Revocations } from './revocations.ts';
import { GatewaySettings } from './settings.ts';
import { Tokens } from './tokens.ts';

/** Readiness checks: `READY_ROUTES` are served, and access tokens can be verified if a route needs one. */
@Injectable()
export class ReadyToServe {
  constructor(
    readiness: Readiness,
    private readonly services: KnownServices,
    private readonly settings: GatewaySettings,
    tokens: Tokens,
    revocations: Revocations,
  ) {
    readiness.add('routes', () => this.#findMissingRoutes());
    readiness.add('tokens', () => {
      const needsTokens = services.table.routes.some(({ access }) => access !== 'public');
      if (!needsTokens) return undefined;
      return revocations.isCurrent ? tokens.findProblem() : 'the list of revoked tokens is not current';
    });
  }

  #findMissingRoutes(): string | undefined {
    const missing = this.settings.readyRoutes.filter((wanted) => {
      const [method, path] = wanted.split(' ') as [string, string];
      const match = this.services.table.find(method, path);
      return match.found !== 'route' || !this.services.serves(match.route);
    });
    return missing.length > 0 ? `no service serves ${missing.join(', ')}` : undefined;
  }
}
