import type { WorkspaceConfigInput } from '@jogakbo/contract/workspace';

/**
 * Facts that concern several services. The launcher and the compose file pass them to the services as settings; no
 * service imports this file. What one service or one operation needs is declared there: in its package.json, or in its
 * contract.
 */
export default {
  name: 'jogakbo',
  title: 'Jogakbo',
  /** In addition to `member` and `operator`. `access` of a contract can be one of them. */
  roles: ['merchant'],
  /** The first language is used if a client accepts none of them. */
  languages: ['ko', 'en'],
  /** The store is ready when the gateway serves these routes. */
  readyRoutes: ['POST /v1/orders', 'POST /v1/sessions'],
  /** `npm start` creates an account for each of these roles. */
  localStaff: ['merchant', 'operator'],
  /** The teams on GitHub: `docs/CODEOWNERS`. */
  codeOwners: { prefix: '@jogakbo/', others: 'platform' },
  /** Where `jogakbo deploy --environment <name>` deploys to, besides the store of `npm start`. */
  environments: {
    docker: { engine: 'docker', url: 'http://localhost:3000' },
    production: {
      engine: 'kubernetes',
      overlay: 'production',
      registry: 'images.example/jogakbo',
      url: 'https://store.example',
    },
  },
  /** Fills a new store with data. */
  seed: 'tools/store/src/seed/index.ts',
  /** The workload and the rules of `npm run chaos`. */
  chaos: 'tools/store/src/chaos/index.ts',
  /** The load of `npm run bench:footprint`. */
  load: 'tools/store/src/bench/load.ts',
} satisfies WorkspaceConfigInput;
