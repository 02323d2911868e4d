import type { Body } from '@jogakbo/contract';
import { ListInstances, type InstanceView } from '@jogakbo/contracts-registry';
import { Handles } from '@jogakbo/messaging';
import { Controller, Get, Req, Res, type OnModuleDestroy } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Directory } from './directory.ts';

/** A reader of the stream that is this far behind, in bytes, begins again. */
const farBehind = 4_000_000;
/** How often a silent stream says that it lives, in milliseconds. */
const sayEvery = 15_000;

/** Who is there now. */
@Controller()
export class ReadInstances implements OnModuleDestroy {
  readonly #streams = new Set<FastifyReply['raw']>();

  constructor(private readonly directory: Directory) {}

  @Handles(ListInstances)
  async list({ service }: Body<typeof ListInstances>) {
    return {
      items: this.all().filter((one) => !service || one.service === service),
      refusedSenders: this.directory.refusedSenders,
    };
  }

  @Get('instances')
  all(): InstanceView[] {
    return this.directory.entries.map((entry) => this.directory.view(entry));
  }

  /** Server-sent events: a `snapshot` of all, then every instance that `came`, `changed` or `went`. */
  @Get('instances/stream')
  stream(@Req() { raw: request }: FastifyRequest, @Res() reply: FastifyReply): void {
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    const write = (text: string): void => {
      if (raw.writableLength > farBehind) raw.destroy();
      else raw.write(text);
    };
    const say = (event: string, data: unknown): void =>
      write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    say('snapshot', this.all());
    const endChanges = this.directory.onChange(({ kind, entry }) => say(kind, this.directory.view(entry)));
    const timer = setInterval(() => write(':\n\n'), sayEvery);
    this.#streams.add(raw);
    request.once('close', () => {
      endChanges();
      clearInterval(timer);
      this.#streams.delete(raw);
    });
  }

  /** Targets for Prometheus (`http_sd_configs`): every instance of ours shows its numbers at `/metrics`. */
  @Get('prometheus/targets')
  targets(): { targets: string[]; labels: Record<string, string> }[] {
    return this.all()
      .filter(({ upstream }) => upstream === 'bus')
      .map(({ url, service, version, instance }) => ({
        targets: [new URL(url).host],
        labels: { job: service, service, version, instance_name: instance },
      }));
  }

  /** An open stream would keep the server from closing. */
  onModuleDestroy(): void {
    for (const raw of this.#streams) raw.end();
  }
}
