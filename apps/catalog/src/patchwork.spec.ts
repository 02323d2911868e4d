import { describe, expect, it } from '@jest/globals';
import { createPatchwork } from './patchwork.ts';

describe('createPatchwork', () => {
  it('returns a small SVG, always the same for the same name', () => {
    for (let i = 0; i < 200; i++) expect(createPatchwork(`SKU-${i}`).length).toBeLessThan(600);
    expect(createPatchwork('TEX-001')).toBe(createPatchwork('TEX-001'));
    expect(createPatchwork('TEX-001')).not.toBe(createPatchwork('TEX-002'));
    const svg = decodeURIComponent(createPatchwork('TEX-001').replace('data:image/svg+xml,', ''));
    expect(svg).toMatch(/^<svg [^>]*xmlns='http:\/\/www\.w3\.org\/2000\/svg'.*<\/svg>$/);
    expect(svg.match(/<path/g)).toHaveLength(5);
  });
});
