import { describe, expect, it } from '@jest/globals';
import { patchwork } from './patchwork.ts';

describe('patchwork', () => {
  it('is a small SVG, always the same for the same name', () => {
    for (let i = 0; i < 200; i++) expect(patchwork(`SKU-${i}`).length).toBeLessThan(600);
    expect(patchwork('TEX-001')).toBe(patchwork('TEX-001'));
    expect(patchwork('TEX-001')).not.toBe(patchwork('TEX-002'));
    const svg = decodeURIComponent(patchwork('TEX-001').replace('data:image/svg+xml,', ''));
    expect(svg).toMatch(/^<svg [^>]*xmlns='http:\/\/www\.w3\.org\/2000\/svg'.*<\/svg>$/);
    expect(svg.match(/<path/g)).toHaveLength(5);
  });
});
