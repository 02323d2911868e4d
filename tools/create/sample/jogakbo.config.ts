import type { WorkspaceConfigInput } from '@jogakbo/contract/workspace';

/**
 * Facts that concern several services. The launcher passes them to the services as settings. What one service or one
 * operation needs is declared there: in its package.json, or in its contract.
 */
export default {
  name: 'my-product',
  /** In addition to `member` and `operator`. `access` of a contract can be one of them. */
  roles: [],
  /** The first language is used if a client accepts none of them. */
  languages: ['en'],
  /** The product is ready when the gateway serves these routes. */
  readyRoutes: ['POST /v1/notes', 'POST /v1/sessions'],
  /** `npm start` creates an account for each of these roles. */
  localStaff: ['operator'],
  /** The teams on GitHub or GitLab: `docs/CODEOWNERS`. */
  codeOwners: { prefix: '@my-product/', others: 'platform' },
} satisfies WorkspaceConfigInput;
