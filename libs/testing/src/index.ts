export { privateBroker, privateDatabase, type Private, type PrivateBroker } from './backing-services.ts';
export { about } from './about.ts';
export { debianProgram } from './debian-program.ts';
export { eventually } from './eventually.ts';
export { choices, interleavings } from './interleavings.ts';
export { moveTimeOfDay } from './time-of-day.ts';
export { ServiceUnderTest, type As, type StubbedService } from './service-under-test.ts';
export { privateRedis, type PrivateRedis } from './private-redis.ts';
export { getAction, Browser } from './browser.ts';
