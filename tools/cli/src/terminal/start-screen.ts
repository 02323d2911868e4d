import { type Report, type StartEvent } from '../supervisor/start-events.ts';
import { CliError, formatCliError } from './cli-error.ts';
import { toPrintable } from './printable.ts';
import { StageList } from './stage-list.ts';

export interface StartScreen {
  report: Report;
  /** Resolves when all reported events are printed. */
  close(): Promise<void>;
}

/** Shows the events of a start on the terminal: a list of stages, and lines after it. */
export function openStartScreen(): StartScreen {
  let list: StageList | undefined;
  let isOver = false;
  // Everything is printed in the order of the events, after the list that was drawn before it.
  let queue: Promise<void> = Promise.resolve();
  const held: string[] = [];
  const print = (text: string, write = console.log) => {
    queue = queue.then(() => write(text));
  };
  const endList = () => {
    isOver = true;
    const drawing = list;
    list = undefined;
    queue = queue.then(() => drawing?.close());
    held.splice(0).forEach((text) => print(text));
  };
  const report = (event: StartEvent) => {
    switch (event.kind) {
      case 'stage':
        // Stages that finish after the start was cancelled are ignored.
        if (!isOver) (list ??= new StageList()).add(event);
        break;
      case 'line':
        // The live list would overwrite a line printed now.
        if (list && process.stdout.isTTY) held.push(toPrintable(event.text));
        else print(toPrintable(event.text));
        break;
      case 'given-up':
        endList();
        break;
      case 'ready':
        endList();
        print(event.lines.join('\n'));
        break;
      case 'error':
        endList();
        print(formatCliError(new CliError(event.title, event)), console.error);
    }
  };
  return { report, close: () => queue };
}
