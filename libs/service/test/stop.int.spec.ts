import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { service } from '@jogakbo/contract';
import { Service, start, type RunningService } from '@jogakbo/service';
import { createPrivateBroker, type Private } from '@jogakbo/testing';
import { Controller, Get } from '@nestjs/common';

@Controller()
class SlowController {
  @Get('slow')
  async slow(): Promise<string> {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return 'answered';
  }
}

@Service({ contract: service('library'), handlers: [SlowController] })
class LibraryModule {}

let broker: Private;
beforeAll(async () => void (broker = await createPrivateBroker()));
afterAll(() => broker.drop());

const startLibrary = (): Promise<RunningService> =>
  start(LibraryModule, {
    environment: { LOG_LEVEL: 'error', LOCAL_MODE: 'true', RABBITMQ_URL: broker.url },
  });

/** Opens a connection that sends only this text. */
const open = (url: string, text: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => {
      if (text) socket.write(text);
      resolve(socket);
    }).on('error', reject);
  });

describe('a stop', () => {
  it.each([
    ['sends nothing', ''],
    ['has sent a part of a request', 'GET /health/live HTTP/1.1\r\nHost: x\r\n'],
  ])('does not wait for a connection that %s', async (_what, text) => {
    const library = await startLibrary();
    const socket = await open(library.url, text);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    // Answered after the connection was accepted.
    await fetch(`${library.url}/health/live`);
    const began = performance.now();
    await library.stop();
    expect(performance.now() - began).toBeLessThan(3_000);
    await closed;
  });

  it('answers the requests in progress', async () => {
    const library = await startLibrary();
    const answering = fetch(`${library.url}/slow`).then((response) => response.text());
    await new Promise((resolve) => setTimeout(resolve, 200));
    await library.stop();
    expect(await answering).toBe('answered');
  });
});
