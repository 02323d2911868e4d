/** A code block of a page. Its first line: ```sh skip="needs a cluster" */
export interface Block {
  /** The line of its first character, from 1. */
  line: number;
  language: string;
  /** `skip`: why it cannot run; `background`: the output to wait for; `exit`: the exit code; `file`: what a diff changes. */
  attributes: Readonly<Record<string, string>>;
  text: string;
}

/** A command of a page, with the output that the page shows below it. */
export interface Step extends Block {
  output?: string;
}

/** Parses the code blocks of a page of Markdown. */
export function parseBlocks(markdown: string): Block[] {
  const blocks: Block[] = [];
  for (const { index, groups } of markdown.matchAll(/^```(?<info>\w.*)\n(?<text>(?:(?!```).*\n)*)```$/gm)) {
    const [language = '', ...rest] = groups!['info']!.split(/\s+(?=\w+=")/);
    blocks.push({
      line: markdown.slice(0, index).split('\n').length,
      language,
      attributes: Object.fromEntries(
        rest.map((one) => {
          const [, name = '', value = ''] = /^(\w+)="([^"]*)"$/.exec(one.trim()) ?? [];
          return [name, value];
        }),
      ),
      text: groups!['text']!,
    });
  }
  return blocks;
}

/** What a reader of the page does, in order: commands and changes of files. A block of `text` is the output of the command above. */
export function parseSteps(markdown: string): Step[] {
  const steps: Step[] = [];
  let previous: Block | undefined;
  for (const block of parseBlocks(markdown)) {
    if (block.language === 'sh' || block.attributes['file']) steps.push({ ...block });
    else if (block.language === 'text' && previous?.language === 'sh') steps.at(-1)!.output = block.text;
    previous = block;
  }
  return steps;
}

/** Whether the lines of `expected` occur in `actual` in this order. `…` stands for any text, and for any lines. */
export function matchesOutput(expected: string, actual: string): boolean {
  const escape = (text: string) => text.replace(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`);
  const lines = expected.trim().split('\n');
  const patterns = lines.map((line) =>
    line.trim() === '…'
      ? '[^]*'
      : line
          .trim()
          .split('…')
          .map(escape)
          .join('.*')
          .replaceAll(/\s+/g, String.raw`\s+`),
  );
  return new RegExp(patterns.join(String.raw`[^\n]*\n[^]*?`)).test(actual);
}

/** Applies a block like `-old line` and `+new line`. Other lines are context. @throws Error unless the old text occurs once */
export function applyDiff(text: string, diff: string): string {
  const pick = (sign: string) =>
    diff
      .split('\n')
      .filter((line) => line && (line.startsWith(sign) || !/^[-+]/.test(line)))
      .map((line) => line.slice(1))
      .join('\n');
  const [before, after] = [pick('-'), pick('+')];
  if (text.split(before).length !== 2) throw new Error(`this text does not occur once:\n${before}`);
  return text.replace(before, () => after);
}
