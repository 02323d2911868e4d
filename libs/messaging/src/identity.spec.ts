import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { ConsumeMessage } from 'amqplib';
import { mustBeAllowed, determineOrigin, senderHeader, UnauthorizedSender } from './identity.ts';
import { computeDigest, Marks } from './marks.ts';
import { ServiceKey } from './service-key.ts';

const standing = { login: 'shop', operator: 'boss' };
const key = () => ServiceKey.parse(randomBytes(32).toString('base64url'));
const marks = new Marks(key());
const body = Buffer.from('{}');
const message = (userId: string | undefined, headers: object = {}, content = body, messageId = 'm-1') =>
  ({ properties: { userId, messageId, headers }, content }) as unknown as ConsumeMessage;
const getSender = (...said: Parameters<typeof message>) =>
  determineOrigin(message(...said), standing, marks).sender;
const markedAs = (sender: string | undefined, more: object = {}) =>
  marks.add('m-1', body, { ...senderHeader(sender), ...more });

describe('who sent a message', () => {
  it('is whom the broker names', () => {
    expect(getSender('stock')).toBe('stock');
    expect(getSender(undefined)).toBeUndefined();
    expect(getSender('')).toBeUndefined();
  });

  it('is not whom somebody else names, with whichever headers', () => {
    for (const headers of [
      { sender: 'gateway' },
      markedAs('gateway'),
      { sender: 'gateway', failures: 3, 'x-death': [{ queue: 'shop.commands@1', 'routing-keys': ['x'] }] },
    ]) {
      const { sender, failures } = determineOrigin(message('stock', headers), standing, marks);
      expect({ sender, failures }).toEqual({ sender: 'stock', failures: 0 });
      expect(getSender(undefined, headers)).toBeUndefined();
    }
  });

  it('is believed of the service itself by its mark alone', () => {
    const headers = { ...markedAs('stock'), failures: 2, 'first-failed-at': 'then' };
    expect(determineOrigin(message('shop', headers), standing, marks)).toEqual({
      ...{ sender: 'stock', failures: 2, firstFailedAt: 'then', isHandedOn: false, isEdited: false },
    });
    expect(getSender('shop', markedAs(undefined))).toBeUndefined();
    expect(getSender('shop', { sender: 'gateway' })).toBe('shop');
    const foreign = new Marks(key()).add('m-1', body, { sender: 'gateway' });
    expect(getSender('shop', foreign)).toBe('shop');
  });

  it.each([
    ['the sender', { sender: 'gateway' }],
    ['the member', { caller: '{"memberId":"m-2"}' }],
    ['the address', { address: '192.0.2.1' }],
    ['the idempotency key', { 'idempotency-key': 'other' }],
  ])('is not believed where %s was changed under the mark', (_, changed) => {
    expect(getSender('shop', { ...markedAs('stock'), ...changed })).toBe('shop');
  });

  it('is not believed where body or id were changed under the mark', () => {
    expect(getSender('shop', markedAs('stock'), Buffer.from('[]'))).toBe('shop');
    expect(getSender('shop', markedAs('stock'), body, 'm-2')).toBe('shop');
  });

  it('is believed by the marks of earlier keys while a key is rotated', () => {
    const [old, current] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')];
    const made = new Marks(ServiceKey.parse(old)).add('m-1', body, { sender: 'stock' });
    const rotated = new Marks(ServiceKey.parse(`${current},${old}`));
    expect(determineOrigin(message('shop', made), standing, rotated).sender).toBe('stock');
    const over = new Marks(ServiceKey.parse(current));
    expect(determineOrigin(message('shop', made), standing, over).sender).toBe('shop');
  });

  const replay = (headers: object) => ({ ...headers, 'replayed-for': 'shop' });

  it('is believed of an operator, who begins anew, unless a mark contradicts', () => {
    expect(getSender('boss')).toBe('boss');
    expect(getSender('boss', replay({ sender: 'stock' }))).toBe('stock');
    expect(getSender('boss', replay({ sender: '' }))).toBeUndefined();
    const marked = replay({ ...markedAs('stock'), failures: 5 });
    expect(determineOrigin(message('boss', marked), standing, marks)).toMatchObject({
      ...{ sender: 'stock', failures: 0, isEdited: false },
    });
    // What lay among the dead letters may have been put there by anybody with this login.
    expect(getSender('boss', replay({ sender: 'gateway', mark: 'made up' }))).toBeUndefined();
  });

  it('is not believed of what an operator sent to another service, which handed it on', () => {
    for (const headers of [{ sender: 'stock' }, markedAs('stock'), { 'replayed-for': 'search' }]) {
      expect(getSender('boss', headers)).toBeUndefined();
      expect(getSender('boss', { ...headers, 'replayed-for': 'search' })).toBeUndefined();
    }
  });

  it('is believed of a message that an operator edited, by the mark that it had before', () => {
    const edited = (headers: object, from = body) =>
      replay({ ...headers, 'edited-from': computeDigest(from), 'edited-by': 'ann' });
    const now = Buffer.from('{"other":1}');
    expect(determineOrigin(message('boss', edited(markedAs('stock')), now), standing, marks)).toMatchObject({
      ...{ sender: 'stock', failures: 0, isEdited: true },
    });
    expect(getSender('boss', edited({ sender: 'gateway', mark: 'AAAA' }), now)).toBeUndefined();
    expect(getSender('boss', edited({ ...markedAs('stock'), sender: 'gateway' }), now)).toBeUndefined();
    expect(getSender('boss', edited(markedAs('stock'), now), now)).toBeUndefined();
    expect(getSender('boss', edited(markedAs('stock')), now, 'm-2')).toBeUndefined();
    // Only an operator edits.
    expect(getSender('shop', edited(markedAs('stock')), now)).toBe('shop');
    expect(getSender('search', edited(markedAs('stock')), now)).toBe('search');
  });

  it('is what a message says where all share one login', () => {
    const shared = { login: 'guest', operator: undefined };
    expect(determineOrigin(message('guest', { sender: 'stock', failures: 1 }), shared)).toMatchObject({
      ...{ sender: 'stock', failures: 1 },
    });
  });
});

describe('who may send what', () => {
  const grants = { mayCall: (login: string, name: string) => login === 'shop' && name === 'stock.reserve' };
  const atStock = { login: 'stock', operator: 'boss' };
  const attempt = (
    contract: { kind: string; name: string; service: string },
    sender: string | undefined,
    isHandedOn = false,
  ) => mustBeAllowed(contract, { sender, isHandedOn }, atStock, grants);

  it('an event: the service that it belongs to, straight', () => {
    const event = { kind: 'event', name: 'shop.bought', service: 'shop' };
    expect(() => attempt(event, 'shop')).not.toThrow();
    for (const other of ['thief', 'boss', 'stock', undefined])
      expect(() => attempt(event, other)).toThrow(UnauthorizedSender);
    expect(() => attempt(event, 'shop', true)).toThrow('shop.bought of shop was handed on by another queue');
  });

  it('a request: who declares it, the service itself, and operators, on whichever way', () => {
    const request = { kind: 'command', name: 'stock.reserve', service: 'stock' };
    for (const isHandedOn of [false, true]) {
      for (const sender of ['shop', 'stock', 'boss'])
        expect(() => attempt(request, sender, isHandedOn)).not.toThrow();
      expect(() => attempt(request, 'thief', isHandedOn)).toThrow(
        'stock.reserve came from thief, which may not call it',
      );
      expect(() => attempt(request, undefined, isHandedOn)).toThrow(/without identity/);
    }
    expect(() => attempt({ ...request, name: 'stock.change' }, 'shop')).toThrow(UnauthorizedSender);
  });
});
