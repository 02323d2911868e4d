import type { Server } from 'node:http';
import { RabbitServer } from '@jogakbo/messaging';
import { Module, type DynamicModule, type Provider, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { TerminusModule } from '@nestjs/terminus';
import type { FastifyServerOptions } from 'fastify';
import { HealthController } from './health.ts';
import type { InstanceContext } from './instance-context.ts';
import { MetricsController } from './metrics.ts';
import { toOwnUrl } from './own-url.ts';
import type { Part } from './parts.ts';

/** Milliseconds between two checks for connections that a stop can close. */
const closeCheckMs = 50;

@Module({})
class Platform {}

export interface NestAppOptions {
  server: RabbitServer;
  /** What every class of the service can inject. */
  provided: Provider[];
  fastify: FastifyServerOptions;
  /** Runs before the HTTP server listens. */
  configure: (app: NestFastifyApplication) => void | Promise<void>;
}

/** The Nest application of an instance: the module of the service, its message handlers, health and metrics over HTTP. */
export class NestApp implements Part {
  #app: NestFastifyApplication | undefined;
  #url = '';
  /** HTTP requests that are not answered completely. */
  #requestsInProgress = 0;

  constructor(
    private readonly context: InstanceContext,
    private readonly options: NestAppOptions,
  ) {}

  /** Exists after `open`. */
  get app(): NestFastifyApplication {
    return this.#app!;
  }

  /** Base URL of the HTTP server; empty before it listens. */
  get url(): string {
    return this.#url;
  }

  /** Creates the handlers. Nothing reaches them yet. */
  async open(): Promise<void> {
    const { server, fastify, configure } = this.options;
    this.#app = await NestFactory.create<NestFastifyApplication>(
      this.#createRoot(),
      new FastifyAdapter(fastify),
      { logger: this.context.nestLog, abortOnError: false },
    );
    this.#countRequests(this.#app.getHttpServer() as Server);
    this.#app.connectMicroservice({ strategy: server }, { inheritAppConfig: true });
    await configure(this.#app);
    await this.#app.init();
  }

  #countRequests(server: Server): void {
    server.on('request', (_, response) => {
      this.#requestsInProgress += 1;
      response.once('close', () => (this.#requestsInProgress -= 1));
    });
  }

  /** Answers the requests in progress. */
  async close(): Promise<void> {
    const server = this.#app?.getHttpServer() as Server | undefined;
    // Node would wait, up to a minute, for a connection without a complete request, and for one that became idle after it
    // began to close.
    const closing = setInterval(() => {
      if (!server?.listening && this.#requestsInProgress === 0) server?.closeAllConnections();
    }, closeCheckMs);
    try {
      await this.#app?.close();
    } finally {
      clearInterval(closing);
    }
  }

  readonly messageServer: Part = {
    open: () => this.app.startAllMicroservices(),
    close: () => this.options.server.close(),
  };

  /** Closed with the application. */
  readonly httpServer: Part = {
    open: async () => {
      const { port, host, reusePort } = this.context.platform;
      await this.app.listen({ port, host, ...(reusePort && { reusePort }) });
      this.#url = toOwnUrl(await this.app.getUrl(), host);
    },
  };

  #createRoot(): DynamicModule {
    const { provided } = this.options;
    return {
      module: Platform,
      global: true,
      imports: [TerminusModule.forRoot({ logger: false }), this.context.module],
      controllers: [HealthController, MetricsController],
      providers: provided,
      exports: provided.map((provider) => (provider as { provide: Type }).provide),
    };
  }
}
