import { describe, expect, it } from '@jest/globals';
import { clientsFor } from './openid-clients.ts';

describe('the client to try with', () => {
  const clients = ['example', 'partner'].map((clientId) => ({
    ...{ clientId, name: clientId, redirectUris: ['http://127.0.0.1/callback'] },
  }));
  const known = (issuer: string) => clientsFor(issuer, clients).map(({ clientId }) => clientId);

  it.each(['http://localhost:3000', 'http://127.0.0.1:8080', 'https://[::1]'])('is known to %s', (issuer) => {
    expect(known(issuer)).toEqual(['example', 'partner']);
  });

  it.each(['https://store.example', 'http://localhost.store.example', 'https://127.0.0.1.evil.example'])(
    'is unknown to %s, whatever the file of clients says',
    (issuer) => {
      expect(known(issuer)).toEqual(['partner']);
    },
  );
});
