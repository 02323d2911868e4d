import { contractTests } from '@jogakbo/testing/contract-tests';
import { IdentityModule } from '../src/identity.module.ts';

contractTests(IdentityModule, {
  environment: { TOKEN_ISSUER: 'https://store.example', LANGUAGES: 'ko,en', ROLES: 'moderator' },
});
