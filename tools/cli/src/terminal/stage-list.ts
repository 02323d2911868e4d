import { Listr, type ListrTask } from 'listr2';
import { toPrintable } from './printable.ts';
import { type Stage, type StartEvent, stages } from '../supervisor/start-events.ts';

type StageEvent = Extract<StartEvent, { kind: 'stage' }>;

const titles: Record<Stage, string> = {
  broker: 'Broker',
  'database-server': 'Database',
  build: 'Build',
  migrations: 'Databases and migrations',
  services: 'Services',
  seed: 'Seed',
};

/** Shows the progress of a start: a live list on a terminal, plain lines elsewhere. */
export class StageList {
  readonly #queues = new Map<Stage, { events: StageEvent[]; wake: () => void }>();
  readonly #drawing: Promise<void>;
  #over = false;

  constructor() {
    for (const stage of stages) this.#queues.set(stage, { events: [], wake: () => undefined });
    const row = (stage: Stage): ListrTask => ({
      title: titles[stage],
      task: async (_context, task) => {
        const skip = (why: string) => {
          task.title = `${titles[stage]}: ${why}`;
          return task.skip();
        };
        for (;;) {
          const event = await this.#next(stage);
          if (!event) return skip('not reached');
          if (event.progress === 'note') task.output = event.text;
          if (event.progress === 'skipped') return skip(event.text);
          if (event.progress === 'failed') throw new Error(event.text);
          if (event.progress === 'done') {
            task.title = `${titles[stage]}: ${event.text}`;
            return undefined;
          }
        }
      },
    });
    const list = new Listr(
      [
        {
          title: 'Backing services and build',
          task: (_context, task) =>
            task.newListr([row('broker'), row('database-server'), row('build')], {
              concurrent: true,
              exitOnError: true,
            }),
        },
        row('migrations'),
        row('services'),
        row('seed'),
      ],
      {
        // The supervisor handles Ctrl-C.
        registerSignalListeners: false,
        rendererOptions: { collapseSubtasks: false, collapseErrors: true, showErrorMessage: false },
      },
    );
    this.#drawing = list.run().then(
      () => undefined,
      () => undefined,
    );
  }

  add(event: StageEvent): void {
    const queue = this.#queues.get(event.stage)!;
    // The text may contain output of servers and tools.
    queue.events.push('text' in event ? { ...event, text: toPrintable(event.text) } : event);
    queue.wake();
  }

  /** Resolves when the list is drawn. Unfinished rows are skipped. */
  async close(): Promise<void> {
    this.#over = true;
    for (const { wake } of this.#queues.values()) wake();
    await this.#drawing;
  }

  async #next(stage: Stage): Promise<StageEvent | undefined> {
    const queue = this.#queues.get(stage)!;
    while (queue.events.length === 0) {
      if (this.#over) return undefined;
      await new Promise<void>((resolve) => (queue.wake = resolve));
    }
    return queue.events.shift();
  }
}
