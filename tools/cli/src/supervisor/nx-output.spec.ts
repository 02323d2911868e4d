import { describe, expect, it } from '@jest/globals';
import { NxOutput, type NxTask } from './nx-output.ts';

function read(chunks: string[]): { tasks: NxTask[]; remarks: string[] } {
  const tasks: NxTask[] = [];
  const output = new NxOutput((task) => tasks.push(task));
  chunks.forEach((chunk) => output.take(chunk));
  output.end();
  return { tasks, remarks: output.remarks };
}

describe('NxOutput', () => {
  it('separates tasks for any chunk size', () => {
    const text = [
      '> nx run contract:typecheck  [local cache]',
      'fine',
      '> nx run cli:lint',
      '\u001b[31mbad\u001b[39m\r',
      'Warning: command "eslint tools/cli" exited with non-zero status code',
      '',
      ' NX   Running targets typecheck, lint for 2 projects failed',
      'Failed tasks:',
    ].join('\n');
    for (const size of [1, 7, 1000]) {
      const { tasks, remarks } = read(text.match(new RegExp(`[^]{1,${size}}`, 'g'))!);
      expect(tasks).toEqual([
        { id: 'contract:typecheck', cached: true, failed: false, output: ['fine'] },
        { id: 'cli:lint', cached: false, failed: true, output: ['bad', ''] },
      ]);
      expect(remarks).toContain('Failed tasks:');
    }
  });

  it('keeps the reason why nx did not start', () => {
    expect(read([' NX   Failed to process project graph.\n\nbad package.json\n']).remarks).toContain(
      'bad package.json',
    );
  });
});
