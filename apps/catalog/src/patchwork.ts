import { createHash } from 'node:crypto';

const cloth = ['#c8553d', '#f2c14e', '#588b8b', '#f7e7ce', '#3d405b', '#81b29a', '#e07a5f', '#a9b4c2'];

/** A patchwork picture for a product that has none, the same for the same sku, as a data URI below 600 bytes. */
export function patchwork(sku: string): string {
  const bytes = createHash('sha256').update(sku).digest();
  const patches = [...bytes.subarray(0, 9)]
    .map(
      (byte, i) => `<path fill='${cloth[byte % cloth.length]}' d='M${i % 3} ${Math.floor(i / 3)}h1v1h-1z'/>`,
    )
    .join('');
  const svg = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 3 3'>${patches}</svg>`;
  return `data:image/svg+xml,${svg.replaceAll('#', '%23').replaceAll('<', '%3C').replaceAll('>', '%3E').replaceAll(' ', '%20')}`;
}
