import { expect, it } from '@jest/globals';
import { assertLoginPerService } from './serve.ts';

it('requires BROKER_OPERATOR outside local mode, so that senders can be authenticated', () => {
  for (const environment of [{}, { LOCAL_MODE: 'false' }, { BROKER_OPERATOR: '' }])
    expect(() => assertLoginPerService(environment)).toThrow(/^BROKER_OPERATOR \(not set\): is missing/);
  for (const environment of [{ LOCAL_MODE: 'true' }, { BROKER_OPERATOR: 'operator' }])
    expect(() => assertLoginPerService(environment)).not.toThrow();
});
