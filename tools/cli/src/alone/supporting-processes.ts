import { execFile } from 'node:child_process';
import { join, relative } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual, promisify } from 'node:util';
import { type BusDescription } from '@jogakbo/messaging/grants';
import { readBus } from '../bus-descriptions.ts';
import { LogFile } from '../supervisor/log-file.ts';
import { type LaunchCommand, type LaunchContext, prepareLaunch } from '../supervisor/service-launch.ts';
import { EarlyExit } from '../supervisor/service-process.ts';
import { type ServiceVersions } from '../supervisor/service-versions.ts';
import { writeJson } from '../supervisor/state.ts';
import { type Supervisor } from '../supervisor/supervisor.ts';
import { CliError, toMessage } from '../terminal/cli-error.ts';
import { renderLine } from '../terminal/log-line.ts';
import { type App, compileCache, nodePath, root } from '../workspace.ts';
import type { StubInput, StubPlan } from './describe-stubs.ts';
import { getDevelopmentKey, signDevelopmentToken } from './development-token.ts';
import type { StubProcessInput } from './stub-process.ts';
import { formatAloneSummary } from './summary.ts';

const run = promisify(execFile);

export interface SupportingOptions {
  supervisor: Supervisor;
  /** The service that runs alone. */
  app: App;
  /** Undefined if that service is the gateway, or the workspace has none. */
  gateway: App | undefined;
  /** The build of the gateway. */
  building: Promise<unknown> | undefined;
  context: LaunchContext;
  failures: Readonly<Record<string, string>>;
  report: (text: string) => void;
}

/** A log whose lines are printed, too. */
class PrintedLog extends LogFile {
  override write(lines: string[]): void {
    super.write(lines);
    const colours = process.stdout.isTTY && !process.env.NO_COLOR;
    for (const line of lines) if (!/"level":20,/.test(line)) console.log(renderLine(line, colours));
  }
}

/** What runs beside a service that runs alone: the gateway, if it has routes, and the stubs of other services. */
export class SupportingProcesses {
  readonly #options: SupportingOptions;
  #stubs: ServiceVersions | undefined;
  /** With what the stubs were started. */
  #started: { input: StubProcessInput; plan: StubPlan } | undefined;
  #isGatewayStarted = false;
  #starting: Promise<unknown> = Promise.resolve();
  #plan: StubPlan | undefined;
  #described: StubPlan | undefined;

  constructor(options: SupportingOptions) {
    this.#options = options;
  }

  get #bus(): BusDescription {
    return readBus(this.#options.app)!;
  }

  /** The apps that run in addition. */
  get apps(): App[] {
    const { gateway } = this.#options;
    const hasRoutes = this.#bus.contracts.some(({ offered }) => offered);
    return gateway && hasRoutes ? [gateway] : [];
  }

  /** Determines the stubs that the current build needs. @throws CliError if one of them is wrong */
  async plan(): Promise<StubPlan> {
    const { app, building, failures, supervisor } = this.#options;
    await building;
    const input: StubInput = { failures, keys: [getDevelopmentKey(supervisor.stateFolder)] };
    const script = join(import.meta.dirname, 'describe-stubs.ts');
    const env = this.#createEnvironment();
    const { stdout } = await run(nodePath(), [script, app.name, JSON.stringify(input)], { env }).catch(
      (error: Error & { stderr?: string }) => {
        throw new CliError(`The stubs of ${app.name} cannot be determined.`, {
          details: (error.stderr || error.message).trim().split('\n').slice(0, 12),
        });
      },
    );
    const plan = JSON.parse(stdout) as StubPlan;
    if (plan.problems.length > 0)
      throw new CliError(`The stubs of ${app.name} are wrong.`, { details: plan.problems });
    return plan;
  }

  /** Starts what is missing, and the stubs again if they have changed. Failures are reported. */
  async update(plan: StubPlan): Promise<void> {
    this.#plan = plan;
    const { report } = this.#options;
    await this.#starting;
    this.#starting = Promise.all([this.#startGateway(), this.#startStubs(plan)]).catch((error: unknown) => {
      report(toMessage(error));
      if (error instanceof EarlyExit) for (const line of error.errorLines.slice(-10)) report(line);
    });
  }

  async #startGateway(): Promise<void> {
    const [gateway] = this.apps;
    if (!gateway || this.#isGatewayStarted) return;
    this.#isGatewayStarted = true;
    const { supervisor, context } = this.#options;
    await supervisor.addService(gateway.name, '', prepareLaunch(gateway, context)).start();
  }

  async #startStubs(plan: StubPlan): Promise<void> {
    const { supervisor } = this.#options;
    const input = this.#createInput(plan);
    if (isDeepStrictEqual({ input, plan }, this.#started)) return;
    this.#started = { input, plan };
    const file = join(supervisor.stateFolder.folder, 'stubs.json');
    writeJson(file, input);
    if (this.#stubs) return this.#stubs.restart();
    const log = new PrintedLog(supervisor.stateFolder.logs, 'stubs');
    this.#stubs = supervisor.addService('stubs', '', this.#createLaunch(file), log);
    await this.#stubs.start();
  }

  #createInput({ services }: StubPlan): StubProcessInput {
    const { supervisor, app, context, failures } = this.#options;
    const { urls, brokerOperator } = context.broker;
    return {
      app: app.name,
      failures,
      keys: [getDevelopmentKey(supervisor.stateFolder)],
      ...(brokerOperator && { operator: brokerOperator }),
      logins: Object.fromEntries(
        services.map(({ service }) => [service, { url: urls[service]!, key: context.serviceKeys[service]! }]),
      ),
    };
  }

  #createLaunch(file: string): LaunchCommand {
    return {
      command: nodePath(),
      args: [
        ...['--experimental-transform-types', '--disable-warning=ExperimentalWarning'],
        ...['--max-semi-space-size=1', '--max-old-space-size=96'],
        ...[join(import.meta.dirname, 'stub-process.ts'), file],
      ],
      cwd: root,
      env: { ...this.#createEnvironment(), MALLOC_ARENA_MAX: '2' },
    };
  }

  #createEnvironment(): NodeJS.ProcessEnv {
    return { ...process.env, JOGAKBO_WORKSPACE: root, NODE_COMPILE_CACHE: compileCache };
  }

  /** Prints what is real and what is stubbed, once per plan, when everything is ready. @param url of the service */
  async describeOnce(url: string): Promise<void> {
    await this.#starting;
    const plan = this.#plan!;
    if (isDeepStrictEqual(plan, this.#described)) return;
    this.#described = plan;
    const { supervisor, app, context } = this.#options;
    const roles = ['member', ...context.facts.roles, 'operator'];
    const hasGateway = this.apps.length > 0 || app.name === 'gateway';
    if (hasGateway) await waitUntilReady(supervisor.run.port, supervisor.abort);
    const token = hasGateway
      ? await signDevelopmentToken(supervisor.stateFolder, context.publicUrl, roles)
      : undefined;
    const { run, stateFolder } = supervisor;
    const lines = formatAloneSummary({
      app,
      url,
      bus: this.#bus,
      plan,
      run,
      roles,
      token,
      hasGateway,
      stateFolder,
    });
    console.log(lines.join('\n'));
  }
}

/** Builds an app, without the cache of Nx: that takes longer than the build. @throws CliError */
export async function buildApp({ folder, name }: App): Promise<void> {
  const builder = join(root, 'tools', 'delivery', 'src', 'build.ts');
  await run(nodePath(), [builder, relative(root, folder)], { cwd: root }).catch(
    (error: Error & { stderr?: string }) => {
      throw new CliError(`The build of ${name} failed.`, {
        details: (error.stderr || error.message).trim().split('\n').slice(0, 12),
      });
    },
  );
}

/** Waits until the gateway has loaded its routes, at most ten seconds. */
async function waitUntilReady(port: number, abort: AbortSignal): Promise<void> {
  for (const until = Date.now() + 10_000; Date.now() < until && !abort.aborted; await pause(50)) {
    const answer = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined);
    if (answer?.ok) return;
  }
}
