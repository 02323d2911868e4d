import { afterAll, beforeAll, describe } from '@jest/globals';
import { testAcceptedMessages } from './accepted-messages.ts';
import { testAnswersAndAnnouncements } from './answers-and-announcements.ts';
import { BakeryUnderTest } from './bakery.ts';
import { testRefusedMessages } from './refused-messages.ts';

describe('with a separate login for every service', () => {
  const bakery = new BakeryUnderTest();
  beforeAll(() => bakery.start());
  afterAll(() => bakery.stop());

  testAcceptedMessages(bakery);
  testRefusedMessages(bakery);
  testAnswersAndAnnouncements(bakery);
});
