export {
  createPrivateBroker,
  createPrivateDatabase,
  type Private,
  type PrivateBroker,
} from './backing-services.ts';
export { isAbout } from './about.ts';
export { ensureDebianProgram } from './debian-program.ts';
export { eventually } from './eventually.ts';
export { cartesianProduct, interleavings } from './interleavings.ts';
export { shiftSystemTime } from './time-of-day.ts';
export { ServiceUnderTest, type RequestOptions } from './service-under-test.ts';
export { type StubbedService } from './stubbed-service.ts';
export { startPrivateRedis, type PrivateRedis } from './private-redis.ts';
export { getAction, Browser } from './browser.ts';
