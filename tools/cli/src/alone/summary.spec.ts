import { describe, expect, it } from '@jest/globals';
import { root } from '../workspace.ts';
import { formatAloneSummary, type AloneSummary } from './summary.ts';

const bus = {
  service: 'loans',
  contracts: [
    {
      name: 'loans.place-loan',
      kind: 'command' as const,
      offered: { asks: [], subscribesTo: [], routes: ['POST /v1/loans'], access: 'member' },
    },
    {
      name: 'loans.list-loans',
      kind: 'query' as const,
      offered: { asks: [], subscribesTo: [], routes: ['GET /v1/loans'], access: 'member' },
    },
  ],
  calls: ['library.find-books'],
  subscribesTo: ['museum.art-moved'],
  publishes: [],
  isGateway: false,
};
const planned = { description: { ...bus, contracts: [] } };
const summary: AloneSummary = {
  app: { name: 'loans', folder: `${root}/apps/loans` },
  url: 'http://127.0.0.1:4000',
  bus,
  plan: {
    problems: [],
    services: [
      {
        ...planned,
        service: 'library',
        requests: [
          { name: 'library.find-books', origin: 'example' },
          { name: 'library.lend-book', origin: 'stubs.ts' },
        ],
        events: [],
      },
      { ...planned, service: 'museum', requests: [], events: ['museum.art-moved'] },
    ],
  },
  run: { publicUrl: 'http://localhost:3000' },
  hasGateway: true,
  roles: ['member', 'operator'],
  token: 'a.b.c',
  stateFolder: { folder: `${process.cwd()}/.jogakbo/alone/loans` },
};

describe('the summary of a service that runs alone', () => {
  it('says what is real, what is stubbed and how to call it', () => {
    expect(formatAloneSummary(summary)).toEqual([
      '',
      'loans    real  http://127.0.0.1:4000                 from apps/loans, restarted after each change',
      'gateway  real  http://localhost:3000',
      'library  stub  find-books                            examples from the contract',
      'library  stub  lend-book                             stubs.ts',
      'museum   stub  only its events',
      'config   none  settings: environment, else defaults',
      '',
      'Other answers: apps/loans/stubs.ts, or --stub <request>=<rejection|fault|timeout>',
      '',
      'Events that loans receives:',
      '  npx jogakbo emit museum.art-moved',
      '',
      'A development token, for a day: member 00000000-0000-7000-8000-000000000001 with the roles member, operator',
      '  TOKEN=a.b.c',
      '  curl -s http://localhost:3000/v1/loans -H "authorization: Bearer $TOKEN"',
      '',
      'State: .jogakbo/alone/loans',
      '',
    ]);
  });

  it('has no token and no gateway for a service without routes', () => {
    const { token: _, ...rest } = summary;
    const text = formatAloneSummary({ ...rest, token: undefined, hasGateway: false }).join('\n');
    expect(text).not.toMatch(/TOKEN|gateway/);
  });
});
