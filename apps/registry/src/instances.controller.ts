import type { InstanceView } from '@jogakbo/contracts-registry';
import { Controller, Get, Req, Res, type OnModuleDestroy } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Directory } from './directory.ts';

/** Unsent bytes from which a slow stream is closed. The client must reconnect. */
const maxBufferedBytes = 4_000_000;
/** Milliseconds between keep-alive comments of a stream. */
const keepAliveMs = 15_000;

/** Live instances. */
@Controller()
export class InstancesController implements OnModuleDestroy {
  readonly #streams = new Set<FastifyReply['raw']>();

  constructor(private readonly directory: Directory) {}

  @Get('instances')
  all(): InstanceView[] {
    return this.directory.entries.map((entry) => this.directory.toView(entry));
  }

  /** Server-sent events: a `snapshot` of all, then every instance that `came`, `changed` or `went`. */
  @Get('instances/stream')
  stream(@Req() { raw: request }: FastifyRequest, @Res() reply: FastifyReply): void {
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    const write = (text: string): void => {
      if (raw.writableLength > maxBufferedBytes) raw.destroy();
      else raw.write(text);
    };
    const send = (event: string, data: unknown): void =>
      write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    send('snapshot', this.all());
    const endChanges = this.directory.onChange(({ kind, entry }) => send(kind, this.directory.toView(entry)));
    const timer = setInterval(() => write(':\n\n'), keepAliveMs);
    this.#streams.add(raw);
    request.once('close', () => {
      endChanges();
      clearInterval(timer);
      this.#streams.delete(raw);
    });
  }

  /** Targets for Prometheus (`http_sd_configs`): `/metrics` of every instance on the bus. */
  @Get('prometheus/targets')
  targets(): { targets: string[]; labels: Record<string, string> }[] {
    return this.all()
      .filter(({ upstream }) => upstream === 'bus')
      .map(({ url, service, version, instance }) => ({
        targets: [new URL(url).host],
        labels: { job: service, service, version, instance_name: instance },
      }));
  }

  /** Ends open streams, which would block the shutdown of the server. */
  onModuleDestroy(): void {
    for (const raw of this.#streams) raw.end();
  }
}
