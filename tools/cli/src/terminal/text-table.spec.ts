import { expect, it } from '@jest/globals';
import { fitTable, formatTable } from './text-table.ts';

it('aligns columns, also with wide characters and different numbers of cells', () => {
  expect(
    formatTable(
      [
        ['name', 'tomes', ''],
        ['조각보', '7'],
        ['cup', '12', 'low'],
      ],
      '  ',
    ),
  ).toEqual(['  name    tomes', '  조각보  7', '  cup     12     low']);
});

it('truncates the widest columns to fit the terminal', () => {
  const lines = fitTable(
    [
      ['service', 'url'],
      ['loans', 'http://127.0.0.1:20000/a/long/path'],
      ['x', ''],
    ],
    26,
  );
  expect(lines).toEqual(['service  url', 'loans    http://127.0.0.1…', 'x']);
});
