import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readServiceVersion } from './service-version.ts';

let root: string;
let dist: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'jogakbo-version-'));
  dist = join(root, 'apps/tea/dist');
  mkdirSync(dist, { recursive: true });
  write('apps/tea/package.json', { version: '1.2.0' });
  write('package.json', { version: '9.0.0' });
});
afterEach(() => rmSync(root, { recursive: true }));

const write = (file: string, content: unknown) => writeFileSync(join(root, file), JSON.stringify(content));
const read = (environment: NodeJS.ProcessEnv = {}) => readServiceVersion('tea', environment, dist);

describe('the version of a service', () => {
  it('is that of the nearest package.json', () => expect(read()).toBe('1.2.0'));

  it('is rather that of its artefact', () => {
    write('artefact.json', { service: 'tea', version: '1.2.0-4f2a90c1d3' });
    expect(read()).toBe('1.2.0-4f2a90c1d3');
  });

  it('is not that of the artefact of another service', () => {
    write('artefact.json', { service: 'coffee', version: '3.0.0' });
    expect(read()).toBe('1.2.0');
  });

  it('is rather SERVICE_VERSION', () => {
    write('artefact.json', { service: 'tea', version: '1.2.0-4f2a90c1d3' });
    expect(read({ SERVICE_VERSION: '2.0.0-aaaaaaaaaa' })).toBe('2.0.0-aaaaaaaaaa');
    expect(read({ SERVICE_VERSION: '' })).toBe('1.2.0-4f2a90c1d3');
  });

  it('has a value even if a file is broken', () => {
    writeFileSync(join(root, 'apps/tea/package.json'), '{');
    expect(read()).toBe('9.0.0');
  });
});
