import { describe, expect, it } from '@jest/globals';
import { mustBeSentByOwner, senderHeader, senderOf, Stranger } from './identity.ts';

const standing = { login: 'shop', operator: 'boss' };
const of = (userId: string | undefined, sender?: string) =>
  senderOf({ userId, headers: sender === undefined ? {} : { sender } }, standing);

describe('who sent a message', () => {
  it('is whom the broker names', () => {
    expect(of('stock')).toBe('stock');
    expect(of(undefined)).toBeUndefined();
    expect(of('')).toBeUndefined();
  });

  it('is believed of those that send on, and of nobody else', () => {
    expect(of('shop', 'stock')).toBe('stock');
    expect(of('boss', 'stock')).toBe('stock');
    expect(of('stock', 'shop')).toBe('stock');
    expect(of(undefined, 'shop')).toBeUndefined();
  });

  it('stays nobody when it comes again', () => {
    const { sender } = senderHeader(undefined);
    expect(of('shop', sender)).toBeUndefined();
    expect(of('boss', sender)).toBeUndefined();
  });

  it('must own an event, and be somebody to ask', () => {
    const event = { kind: 'event', name: 'stock.reserved', service: 'stock' };
    const from = (sender: string | undefined, key?: string) => ({ sender, key });
    expect(() => mustBeSentByOwner(event, from('stock'))).not.toThrow();
    expect(() => mustBeSentByOwner(event, from('shop'))).toThrow(Stranger);
    expect(() => mustBeSentByOwner(event, from(undefined))).toThrow(/without identity/);
    const command = { kind: 'command', name: 'stock.reserve', service: 'stock' };
    expect(() => mustBeSentByOwner(command, from('shop'))).not.toThrow();
    expect(() => mustBeSentByOwner(command, from('shop', 'stock.reserve'))).not.toThrow();
    expect(() => mustBeSentByOwner(command, from('shop', 'stock.reserve@1.4.0'))).not.toThrow();
    expect(() => mustBeSentByOwner(command, from('shop', 'stock.look'))).toThrow(/under the key stock.look/);
    expect(() => mustBeSentByOwner(command, from(undefined))).toThrow(Stranger);
  });
});
