import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { ConsumeMessage } from 'amqplib';
import { checkSender, determineOrigin, senderHeader, UnauthorizedSender } from './identity.ts';
import { computeDigest, Marks } from './marks.ts';
import { ServiceKey } from './service-key.ts';

const identity = { login: 'shop', operator: 'operator' };
const key = () => ServiceKey.parse(randomBytes(32).toString('base64url'));
const marks = new Marks(key());
const body = Buffer.from('{}');
const message = (userId: string | undefined, headers: object = {}, content = body, messageId = 'm-1') =>
  ({ properties: { userId, messageId, headers }, content }) as unknown as ConsumeMessage;
const getSender = (...args: Parameters<typeof message>) =>
  determineOrigin(message(...args), identity, marks).sender;
const mark = (sender: string | undefined, more: object = {}) =>
  marks.add('m-1', body, { ...senderHeader(sender), ...more });

describe('the sender of a message', () => {
  it('is the user-id that the broker verified', () => {
    expect(getSender('tomes')).toBe('tomes');
    expect(getSender(undefined)).toBeUndefined();
    expect(getSender('')).toBeUndefined();
  });

  it('does not depend on headers that another service sets', () => {
    for (const headers of [
      { sender: 'gateway' },
      mark('gateway'),
      { sender: 'gateway', failures: 3, 'x-death': [{ queue: 'shop.commands@1', 'routing-keys': ['x'] }] },
    ]) {
      const { sender, failures } = determineOrigin(message('tomes', headers), identity, marks);
      expect({ sender, failures }).toEqual({ sender: 'tomes', failures: 0 });
      expect(getSender(undefined, headers)).toBeUndefined();
    }
  });

  it('comes from the header of a message of the service itself, if its mark is valid', () => {
    const headers = { ...mark('tomes'), failures: 2, 'first-failed-at': 'then' };
    expect(determineOrigin(message('shop', headers), identity, marks)).toEqual({
      ...{
        sender: 'tomes',
        failures: 2,
        firstFailedAt: 'then',
        wasDeadLetteredElsewhere: false,
        isEdited: false,
      },
    });
    expect(getSender('shop', mark(undefined))).toBeUndefined();
    expect(getSender('shop', { sender: 'gateway' })).toBe('shop');
    const foreign = new Marks(key()).add('m-1', body, { sender: 'gateway' });
    expect(getSender('shop', foreign)).toBe('shop');
  });

  it.each([
    ['the sender', { sender: 'gateway' }],
    ['the member', { caller: '{"memberId":"m-2"}' }],
    ['the address', { address: '192.0.2.1' }],
    ['the idempotency key', { 'idempotency-key': 'other' }],
  ])('does not come from the header if %s was changed after marking', (_, changed) => {
    expect(getSender('shop', { ...mark('tomes'), ...changed })).toBe('shop');
  });

  it('does not come from the header if body or id were changed after marking', () => {
    expect(getSender('shop', mark('tomes'), Buffer.from('[]'))).toBe('shop');
    expect(getSender('shop', mark('tomes'), body, 'm-2')).toBe('shop');
  });

  it('comes from the header if an earlier key made the mark during a rotation', () => {
    const [old, current] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')];
    const marked = new Marks(ServiceKey.parse(old)).add('m-1', body, { sender: 'tomes' });
    const rotated = new Marks(ServiceKey.parse(`${current},${old}`));
    expect(determineOrigin(message('shop', marked), identity, rotated).sender).toBe('tomes');
    const afterRotation = new Marks(ServiceKey.parse(current));
    expect(determineOrigin(message('shop', marked), identity, afterRotation).sender).toBe('shop');
  });

  const replay = (headers: object) => ({ ...headers, 'replayed-for': 'shop' });

  it('comes from the header of a replay, which resets the failures, unless the mark is invalid', () => {
    expect(getSender('operator')).toBe('operator');
    expect(getSender('operator', replay({ sender: 'tomes' }))).toBe('tomes');
    expect(getSender('operator', replay({ sender: '' }))).toBeUndefined();
    const edited = replay({ sender: 'tomes', 'edited-from': computeDigest(body) });
    expect(determineOrigin(message('operator', edited), identity, marks)).toMatchObject({
      ...{ sender: 'tomes', isEdited: true },
    });
    const marked = replay({ ...mark('tomes'), failures: 5 });
    expect(determineOrigin(message('operator', marked), identity, marks)).toMatchObject({
      ...{ sender: 'tomes', failures: 0, isEdited: false },
    });
    // Any process with the login of the service could have published the dead letter.
    expect(getSender('operator', replay({ sender: 'gateway', mark: 'made up' }))).toBeUndefined();
  });

  it('does not come from the header if an operator sent it to another service that dead-lettered it', () => {
    for (const headers of [{ sender: 'tomes' }, mark('tomes'), { 'replayed-for': 'search' }]) {
      expect(getSender('operator', headers)).toBeUndefined();
      expect(getSender('operator', { ...headers, 'replayed-for': 'search' })).toBeUndefined();
    }
  });

  it('comes from the header of an edited message if the mark fits the original body', () => {
    const edited = (headers: object, from = body) =>
      replay({ ...headers, 'edited-from': computeDigest(from), 'edited-by': 'ann' });
    const now = Buffer.from('{"other":1}');
    expect(determineOrigin(message('operator', edited(mark('tomes')), now), identity, marks)).toMatchObject({
      ...{ sender: 'tomes', failures: 0, isEdited: true },
    });
    expect(getSender('operator', edited({ sender: 'gateway', mark: 'AAAA' }), now)).toBeUndefined();
    expect(getSender('operator', edited({ ...mark('tomes'), sender: 'gateway' }), now)).toBeUndefined();
    expect(getSender('operator', edited(mark('tomes'), now), now)).toBeUndefined();
    expect(getSender('operator', edited(mark('tomes')), now, 'm-2')).toBeUndefined();
    // Only operators may edit.
    expect(getSender('shop', edited(mark('tomes')), now)).toBe('shop');
    expect(getSender('search', edited(mark('tomes')), now)).toBe('search');
  });

  it('comes from the header if all services share one login', () => {
    const shared = { login: 'guest', operator: undefined };
    expect(determineOrigin(message('guest', { sender: 'tomes', failures: 1 }), shared)).toMatchObject({
      ...{ sender: 'tomes', failures: 1 },
    });
  });
});

describe('the permission to send', () => {
  const grants = { mayCall: (login: string, name: string) => login === 'shop' && name === 'tomes.reserve' };
  const atTomes = { login: 'tomes', operator: 'operator' };
  const attempt = (
    contract: { kind: string; name: string; service: string },
    sender: string | undefined,
    wasDeadLetteredElsewhere = false,
  ) => checkSender(contract, { sender, wasDeadLetteredElsewhere }, atTomes, grants);

  it('an event: only for its owner, and only directly', () => {
    const event = { kind: 'event', name: 'shop.bought', service: 'shop' };
    expect(() => attempt(event, 'shop')).not.toThrow();
    for (const other of ['search', 'operator', 'tomes', undefined])
      expect(() => attempt(event, other)).toThrow(UnauthorizedSender);
    expect(() => attempt(event, 'shop', true)).toThrow(
      'shop.bought of shop was dead-lettered by another queue',
    );
  });

  it('a request: for declared callers, the service itself, and operators, dead-lettered or not', () => {
    const request = { kind: 'command', name: 'tomes.reserve', service: 'tomes' };
    for (const wasDeadLetteredElsewhere of [false, true]) {
      for (const sender of ['shop', 'tomes', 'operator'])
        expect(() => attempt(request, sender, wasDeadLetteredElsewhere)).not.toThrow();
      expect(() => attempt(request, 'search', wasDeadLetteredElsewhere)).toThrow(
        'tomes.reserve came from search, which may not call it',
      );
      expect(() => attempt(request, undefined, wasDeadLetteredElsewhere)).toThrow(/without identity/);
    }
    expect(() => attempt({ ...request, name: 'tomes.change' }, 'shop')).toThrow(UnauthorizedSender);
  });
});
