import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { consistencyMigrations, saga, to, type UnitOfWork } from '@jogakbo/consistency';
import { sensitive, service, type Body } from '@jogakbo/contract';
import { BrokerConnection, exchanges, Handles, Publisher, queues, RabbitClient } from '@jogakbo/messaging';
import { Service } from '@jogakbo/service';
import { Controller } from '@nestjs/common';
import type { Channel, ConsumeMessage, GetMessage } from 'amqplib';
import { compactDecrypt, CompactEncrypt, exportJWK, generateKeyPair } from 'jose';
import { type MigrationInterface, type QueryRunner } from 'typeorm';
import { z } from 'zod';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';

const Card = sensitive(z.string().max(200));
const bank = service('bank');
const Pay = bank.command('pay', {
  input: z.strictObject({ loanId: z.string(), card: Card }),
  output: z.object({ receipt: Card }),
  subject: 'loanId',
  idempotency: 'required',
});
const Charge = bank.command('charge', {
  input: z.strictObject({ loanId: z.string(), card: Card }),
  subject: 'loanId',
});
const Note = bank.command('note', { input: z.strictObject({ loanId: z.string() }), subject: 'loanId' });
const Paid = bank.event('paid', z.object({ loanId: z.string(), card: Card }), { subject: 'loanId' });
const Never = bank.event('never', z.object({ loanId: z.string() }), { subject: 'loanId' });
const Print = service('printer').command('print', { input: z.strictObject({ text: Card }) });

const remember = saga('remember', 'loanId')
  .startedBy(Paid, ({ card }) => to({ card }))
  .on(Never, (_, state) => to(state));

class Tables1700000001000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE done (id serial PRIMARY KEY, what text NOT NULL)');
  }
  async down(): Promise<void> {}
}

let failing = false;
const getLast4 = (card: string): string => card.slice(-4);

@Controller()
class BankHandler {
  @Handles(Pay)
  async pay({ loanId, card }: Body<typeof Pay>, { tx, publish, send }: UnitOfWork) {
    await tx.query('INSERT INTO done (what) VALUES ($1)', [`pay ${getLast4(card)}`]);
    publish(Paid({ loanId, card }));
    send(Print({ text: card }));
    return { receipt: `for ${card}` };
  }

  @Handles(Charge)
  async charge({ card }: Body<typeof Charge>, { tx }: UnitOfWork) {
    if (failing) throw new TypeError(`cannot charge ${card}`);
    await tx.query('INSERT INTO done (what) VALUES ($1)', [`charge ${getLast4(card)}`]);
  }

  @Handles(Note)
  async note({ loanId }: Body<typeof Note>, { tx }: UnitOfWork) {
    await tx.query('INSERT INTO done (what) VALUES ($1)', [`note ${loanId}`]);
  }
}

@Service({
  contract: bank,
  calls: [Print],
  sagas: [remember],
  migrations: [...consistencyMigrations, Tables1700000001000],
  handlers: [BankHandler],
})
class BankModule {}

describe('sensitive messages', () => {
  let sut: ServiceUnderTest;
  let other: BrokerConnection;
  let channel: Channel;
  /** Copies of all messages on the broker. */
  const passed: ConsumeMessage[] = [];
  const cards: string[] = [];
  const newCard = () => {
    cards.push(`card-${randomUUID()}`);
    return cards.at(-1)!;
  };
  const getText = ({ content, properties }: Pick<ConsumeMessage, 'content' | 'properties'>) =>
    `${content} ${JSON.stringify(properties)}`;
  const findPublished = (name: string) => passed.filter(({ fields }) => fields.routingKey === name);
  const readDone = async () =>
    (await sut.query<{ what: string }>('SELECT what FROM done ORDER BY id')).map(({ what }) => what);

  beforeAll(async () => {
    sut = await ServiceUnderTest.start(BankModule);
    other = await new BrokerConnection().open(sut.broker.url, 'observer');
    channel = await other.model!.createChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    const all = [
      ...Object.values(exchanges).map((exchange) => exchange('bank')),
      ...[exchanges.requests('printer'), exchanges.replies(other.login), exchanges.events('instances')],
    ];
    for (const exchange of all) {
      await channel.assertExchange(exchange, 'topic');
      await channel.bindQueue(queue, exchange, '#');
    }
    await channel.consume(queue, (message) => void passed.push(message!), { noAck: true });
  });
  afterAll(async () => {
    await other.close();
    await sut.stop();
  });

  it('are decrypted by their receiver, answered, and recognised when repeated', async () => {
    const [loanId, card, idempotencyKey] = [randomUUID(), newCard(), randomUUID()];
    const pay = () => sut.ask(Pay, { loanId, card }, { idempotencyKey });
    await expect(pay()).resolves.toEqual({ receipt: `for ${card}` });
    await expect(pay()).resolves.toEqual({ receipt: `for ${card}` });
    await expect(sut.ask(Pay, { loanId, card: newCard() }, { idempotencyKey })).rejects.toMatchObject({
      code: 'idempotency-key-reused',
    });
    expect(await readDone()).toEqual([`pay ${getLast4(card)}`]);
    expect(findPublished(Pay.name)).toHaveLength(3);
  });

  it('wait in the outbox until the key of their receiver is known', async () => {
    const [row] = await sut.query<{ data: unknown }>(
      'SELECT data FROM outbox WHERE name = $1 AND published_at IS NULL',
      [Print.name],
    );
    expect(row!.data).toEqual({ encrypted: expect.any(String) });
    const printer = await sut.stub('printer', [[Print, () => undefined]]);
    await eventually(() => printer.received(Print).length === 1);
    expect(printer.received(Print)).toEqual([{ text: cards[0] }]);
    expect(findPublished(Print.name)).toHaveLength(1);
  });

  it('are not sent to a service that has announced no key', async () => {
    const publisher = new Publisher(other);
    await publisher.open();
    const client = new RabbitClient(other, publisher, 'test');
    await client.connect();
    const before = findPublished(Charge.name).length;
    await expect(client.ask(Charge, { loanId: '1', card: newCard() })).rejects.toMatchObject({
      code: 'unavailable',
      message: 'cannot encrypt bank.charge: no key of bank is known',
    });
    expect(findPublished(Charge.name)).toHaveLength(before);
    await client.close();
    await publisher.close();
  });

  it('in plaintext are rejected and not stored in plaintext', async () => {
    const card = `clear-${randomUUID()}`;
    const body = { pattern: Charge.name, data: { loanId: '1', card } };
    const replyTo = queues.reply('test', randomUUID());
    const { queue } = await channel.assertQueue(replyTo, { exclusive: true });
    await channel.assertExchange(exchanges.replies('test'), 'topic');
    await channel.bindQueue(queue, exchanges.replies('test'), queue);
    const send = (content: object, options: object) =>
      channel.publish(exchanges.requests('bank'), Charge.name, Buffer.from(JSON.stringify(content)), options);
    send({ ...body, id: '7' }, { replyTo, correlationId: '7' });
    const answer = await eventually(async () => channel.get(queue, { noAck: true }));
    expect(JSON.parse((answer as GetMessage).content.toString())).toMatchObject({
      err: { kind: 'fault', code: 'encryption-required' },
    });
    send(body, { messageId: randomUUID() });
    const dead = await eventually(async () => channel.get(queues.dead('bank'), { noAck: true }));
    expect(getText(dead as GetMessage)).toContain('bank.charge is sensitive');
    expect(getText(dead as GetMessage)).not.toContain(card);
    expect(await readDone()).not.toContain(`charge ${getLast4(card)}`);
  });

  it('stay encrypted in retries and dead letters, without sensitive data in the causes', async () => {
    failing = true;
    const [card, id] = [newCard(), randomUUID()];
    await sut.send(Charge({ loanId: '2', card }), id);
    const dead = (await eventually(async () =>
      channel.get(queues.dead('bank'), { noAck: true }),
    )) as GetMessage;
    const [sent] = findPublished(Charge.name).filter(({ properties }) => properties.messageId === id);
    expect(dead.content.equals(sent!.content)).toBe(true);
    expect(dead.properties.headers).toMatchObject({
      cause: 'TypeError: text left out: it may quote sensitive data',
      stack: expect.stringContaining('encryption.int.spec'),
    });
    failing = false;
    // As `jogakbo dead replay` does.
    channel.publish(exchanges.dead('bank'), queues.commands('bank'), dead.content, { messageId: id });
    await eventually(async () => (await readDone()).includes(`charge ${getLast4(card)}`));
  });

  it('are not overtaken by later plaintext messages', async () => {
    const before = (await readDone()).length;
    const all = Array.from({ length: 40 }, () => newCard());
    for (const card of all) {
      await sut.send(Charge({ loanId: 'x', card }));
      await sut.send(Note({ loanId: 'x' }));
    }
    await eventually(async () => (await readDone()).length === before + 80);
    expect((await readDone()).slice(before)).toEqual(
      all.flatMap((card) => [`charge ${getLast4(card)}`, 'note x']),
    );
  });

  it('can be encrypted and decrypted with any JOSE library', async () => {
    const card = newCard();
    const key = await getBankKey();
    const { publicKey, privateKey } = await generateKeyPair('ECDH-ES', { crv: 'X25519', extractable: true });
    const jwe = await new CompactEncrypt(Buffer.from(JSON.stringify({ loanId: '3', card })))
      .setProtectedHeader({
        alg: 'ECDH-ES',
        enc: 'A256GCM',
        kid: key.kid,
        sub: Pay.name,
      })
      .encrypt(key);
    const replyTo = queues.reply('test', randomUUID());
    const { queue } = await channel.assertQueue(replyTo, { exclusive: true });
    await channel.assertExchange(exchanges.replies('test'), 'topic');
    await channel.bindQueue(queue, exchanges.replies('test'), queue);
    const packet = { pattern: Pay.name, data: jwe, datacontenttype: 'application/jose', id: '1' };
    const replyKey = { ...(await exportJWK(publicKey)), kid: 'A'.repeat(43) };
    channel.publish(exchanges.requests('bank'), Pay.name, Buffer.from(JSON.stringify(packet)), {
      ...{ replyTo, correlationId: '1', messageId: randomUUID() },
      headers: { 'reply-key': JSON.stringify(replyKey), 'idempotency-key': randomUUID() },
    });
    const answer = (await eventually(async () => channel.get(queue, { noAck: true }))) as GetMessage;
    const { response, datacontenttype } = JSON.parse(answer.content.toString());
    expect(datacontenttype).toBe('application/jose');
    const { plaintext } = await compactDecrypt(response, privateKey);
    expect(JSON.parse(Buffer.from(plaintext).toString())).toEqual({ receipt: `for ${card}` });
  });

  it('in a queue, an outbox and a saga survive a rotation of the key', async () => {
    const [before, inQueue] = [sut.setting('SERVICE_KEY')!, newCard()];
    const rotated = `${randomBytes(32).toString('base64url')},${before}`;
    await sut.restart({ SERVICE_KEY: rotated }, () => sut.send(Charge({ loanId: '4', card: inQueue })));
    await eventually(async () => (await readDone()).includes(`charge ${getLast4(inQueue)}`));
    // Wait until the new key is used.
    const { kid } = await getBankKey();
    await eventually(async () => {
      await sut.ask(Pay, { loanId: randomUUID(), card: newCard() }, { idempotencyKey: randomUUID() });
      return findPublished(Pay.name).map(readKid).at(-1) === kid;
    });
    // No stored data needs the old key any more.
    await sut.restart({ SERVICE_KEY: rotated.split(',')[0] });
    await sut.ask(Pay, { loanId: '6', card: newCard() }, { idempotencyKey: randomUUID() });
  });

  it('leave no plaintext on the bus and in the database', async () => {
    const tables = await Promise.all(
      ['outbox', 'inbox', 'saga'].map((table) => sut.query(`SELECT * FROM ${table}`)),
    );
    for (const rows of tables) expect(rows.length).toBeGreaterThan(2);
    const all = [...passed.map(getText), ...tables.flat().map((row) => JSON.stringify(row))];
    expect(all.filter((text) => cards.some((card) => text.includes(card)))).toEqual([]);
    for (const { card } of sut.getPublishedEvents(Paid)) expect(card).toMatch(/^[\w-]{8}\./);
  });

  const readKid = ({ content }: ConsumeMessage): string => {
    const [header] = JSON.parse(content.toString()).data.split('.') as [string];
    return JSON.parse(Buffer.from(header, 'base64url').toString()).kid;
  };

  /** The key of the bank as announced in reply to a roll call. */
  const getBankKey = async (): Promise<{ kty: 'OKP'; crv: 'X25519'; x: string; kid: string }> => {
    const from = passed.length;
    channel.publish(
      exchanges.events('instances.roll-call'),
      'instances.roll-call',
      Buffer.from('{"pattern":"instances.roll-call","data":{}}'),
    );
    return eventually(() => {
      const announcements = passed.slice(from).map(({ content }) => JSON.parse(content.toString()).data);
      return announcements.find((data) => data?.service === 'bank')?.encryptionKeys?.[0];
    });
  };
});
