import { afterAll, afterEach, beforeAll, describe } from '@jest/globals';
import { EurekaUnderTest } from './eureka/eureka-under-test.ts';
import { testFormats } from './eureka/formats.ts';
import { testLeases } from './eureka/leases.ts';
import { testLimits } from './eureka/limits.ts';
import { testOperations } from './eureka/operations.ts';
import { testPermissions } from './eureka/permissions.ts';
import { testRegistrations } from './eureka/registrations.ts';

describe('the Eureka API', () => {
  const api = new EurekaUnderTest();
  beforeAll(() => api.start());
  afterEach(() => api.removeInstances());
  afterAll(() => api.stop());

  testLeases(api);
  testPermissions(api);
  testRegistrations(api);
  testLimits(api);
  testOperations(api);
  testFormats(api);
});
