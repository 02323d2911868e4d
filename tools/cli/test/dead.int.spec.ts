import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { exchanges, queues } from '@jogakbo/messaging/topology';
import { createPrivateBroker, eventually, type PrivateBroker } from '@jogakbo/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { connect, type ChannelModel, type ConfirmChannel } from 'amqplib';
import { maxLetters, withDeadQueues } from '../src/dead-letters/dead-queue.ts';
import { nodePath, root } from '../src/workspace.ts';

let broker: PrivateBroker;
let connection: ChannelModel;
let channel: ConfirmChannel;
const home = mkdtempSync(join(tmpdir(), 'jogakbo-dead-'));
const dead = queues.dead('identity');

beforeAll(async () => {
  broker = await createPrivateBroker();
  connection = await connect(broker.url);
  channel = await connection.createConfirmChannel();
  await channel.assertExchange(exchanges.dead('identity'), 'direct');
  for (const queue of [dead, queues.commands('identity')]) {
    await channel.assertQueue(queue, { durable: true });
    await channel.bindQueue(queue, exchanges.dead('identity'), queue);
  }
});
afterAll(async () => {
  await connection.close();
  await broker.drop();
  rmSync(home, { recursive: true });
});
beforeEach(() => Promise.all([dead, queues.commands('identity')].map((queue) => channel.purgeQueue(queue))));

/** Runs `jogakbo dead` as a process of its own. */
function runDead(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(nodePath(), [join(root, 'tools/cli/src/main.ts'), 'dead', ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, JOGAKBO_HOME: home, RABBITMQ_URL: broker.url },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
}

async function addLetter(messageId: string, replyTo?: string): Promise<void> {
  const headers = { cause: 'Error: disk full', queue: queues.commands('identity') };
  const content = Buffer.from(JSON.stringify({ pattern: 'identity.rename-member', data: {} }));
  channel.publish('', dead, content, { messageId, headers, ...(replyTo && { replyTo }) });
  await channel.waitForConfirms();
}
const count = async (queue: string) => (await channel.checkQueue(queue)).messageCount;

describe('dead letters that another command holds', () => {
  it('are refused with the reason after 5 s', async () => {
    await addLetter('a');
    await withDeadQueues(broker.url, ['identity'], async () => {
      const began = Date.now();
      await expect(withDeadQueues(broker.url, ['identity'], async () => undefined)).rejects.toMatchObject({
        message: 'Another command is using the dead letters of identity.',
      });
      expect(Date.now() - began).toBeGreaterThan(4_000);
    });
    expect(await count(dead)).toBe(1);
  });

  it('are refused, too, if both commands begin at the same time', async () => {
    await addLetter('a');
    const commands = [1, 2].map(() => withDeadQueues(broker.url, ['identity'], () => pause(6_000)));
    const results = await Promise.allSettled(commands);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const { reason } = results.find(({ status }) => status === 'rejected') as PromiseRejectedResult;
    expect((reason as Error).message).toBe('Another command is using the dead letters of identity.');
  });

  it('are read as soon as it ends', async () => {
    await addLetter('a');
    let release: (() => void) | undefined;
    const first = withDeadQueues(
      broker.url,
      ['identity'],
      () => new Promise<void>((resolve) => (release = resolve)),
    );
    await eventually(() => release);
    const second = withDeadQueues(broker.url, ['identity'], async ([queue]) => queue!.letters.length);
    setTimeout(release!, 600);
    expect(await second).toBe(1);
    await first;
  });
});

describe('a dead letter with a reply address', () => {
  it('is not replayed, and the command gives the reason', async () => {
    await addLetter('request', 'reply.gateway.1');
    expect(await runDead('replay', 'request', '--yes')).toEqual({
      code: 1,
      output: expect.stringMatching(
        /request is a request whose caller no longer waits.*dead discard request/s,
      ),
    });
    await addLetter('event');
    const { code, output } = await runDead('replay', '--all', '--yes');
    expect(output).toContain('1 requests are left out');
    expect(output).toContain('Replayed 1 of 1 dead letters.');
    expect(code).toBe(0);
    expect([await count(dead), await count(queues.commands('identity'))]).toEqual([1, 1]);
  });
});

describe('more dead letters than are read at once', () => {
  it('are reported by every command that does not handle them', async () => {
    for (let i = 0; i <= maxLetters; i += 1)
      channel.publish('', dead, Buffer.from('{}'), { messageId: String(i).padStart(6, '0') });
    await channel.waitForConfirms();
    const unread = `Only the first ${maxLetters} dead letters of identity were read; 1 were not.`;
    expect(await runDead('show', '010000')).toEqual({ code: 1, output: expect.stringContaining(unread) });
    const { code, output } = await runDead('discard', '--all', '--yes', '--service', 'identity');
    expect({ code, output }).toEqual({ code: 1, output: expect.stringContaining(unread) });
    expect(output).toContain(`Discarded ${maxLetters} of ${maxLetters} dead letters.`);
    expect(await count(dead)).toBe(1);
    expect(await runDead('discard', '--all', '--yes', '--service', 'identity')).toMatchObject({ code: 0 });
  });
});

describe('a command on dead letters', () => {
  it('rejects invalid retry delays', async () => {
    process.env.RETRY_DELAYS = '1000,soon';
    const { code, output } = await runDead('list');
    delete process.env.RETRY_DELAYS;
    expect({ code, output }).toEqual({
      code: 2,
      output: expect.stringContaining('RETRY_DELAYS is "1000,soon"'),
    });
  });

  it('ends at Ctrl-C, and keeps the letters', async () => {
    for (const id of ['a', 'b', 'c']) await addLetter(id);
    const child = spawn(
      nodePath(),
      [join(root, 'tools/cli/src/main.ts'), 'dead', 'replay', '--all', '--yes', '--rate', '1'],
      {
        cwd: root,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, JOGAKBO_HOME: home, RABBITMQ_URL: broker.url },
      },
    );
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
    const ended = new Promise((resolve) => child.on('exit', (_code, signal) => resolve(signal)));
    await eventually(async () => (await count(queues.commands('identity'))) > 0).catch((error: Error) => {
      throw new Error(`${error.message}; the command printed: ${output}`);
    });
    child.kill('SIGINT');
    expect(await ended).toBe('SIGINT');
    // A letter that was published but not yet removed is in both queues. Its id makes it take effect once.
    await eventually(async () => (await count(dead)) + (await count(queues.commands('identity'))) >= 3);
  });
});
