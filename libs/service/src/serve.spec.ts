import { expect, it } from '@jest/globals';
import { mustTellSendersApart } from './serve.ts';

it('does not serve outside local mode where any service may send in the name of another', () => {
  for (const environment of [{}, { LOCAL_MODE: 'false' }, { BROKER_OPERATOR: '' }])
    expect(() => mustTellSendersApart(environment)).toThrow(/^BROKER_OPERATOR \(not set\): is missing/);
  for (const environment of [{ LOCAL_MODE: 'true' }, { BROKER_OPERATOR: 'boss' }])
    expect(() => mustTellSendersApart(environment)).not.toThrow();
});
