import type { PartialMessage } from 'esbuild';

/** Parses an error of swc: a sentence, then the place in a frame. Leaves out the stack of swc itself. */
export function parseSwcError(message: string): PartialMessage[] {
  const found = [...message.matchAll(/^\s*[x×] (.+)\n\s*[,╭][-─]+\[(.+?):(\d+):(\d+)\]/gm)].map(
    ([, text, file, line, column]) => ({
      text: text!,
      location: { file: file!, line: Number(line), column: Number(column) - 1 },
    }),
  );
  return found.length > 0 ? found.slice(0, 1) : [{ text: message.split('\n')[0]!.trim() }];
}

/** Formats `file:line: message`, which editors and terminals recognize. */
export function formatLine({ text, location }: PartialMessage): string {
  const file = location?.file?.replace(`${process.cwd()}/`, '');
  return file ? `${file}:${location!.line}: ${text}` : (text ?? 'unknown error');
}
