import type { PartialMessage } from 'esbuild';

/** Errors as swc words them: a sentence, then the place in a frame, then a stack of swc itself, which is left out. */
export function parseSwcError(message: string): PartialMessage[] {
  const found = [...message.matchAll(/^\s*[x×] (.+)\n\s*[,╭][-─]+\[(.+?):(\d+):(\d+)\]/gm)].map(
    ([, text, file, line, column]) => ({
      text: text!,
      location: { file: file!, line: Number(line), column: Number(column) - 1 },
    }),
  );
  return found.length > 0 ? found.slice(0, 1) : [{ text: message.split('\n')[0]!.trim() }];
}

/** `file:line: message`, as editors and terminals understand it. */
export function formatLine({ text, location }: PartialMessage): string {
  const file = location?.file?.replace(`${process.cwd()}/`, '');
  return file ? `${file}:${location!.line}: ${text}` : (text ?? 'unknown error');
}
