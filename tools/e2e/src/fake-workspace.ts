import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodePath } from '@jogakbo/cli/src/workspace.ts';
import { Jogakbo } from './jogakbo.ts';

/** Implements only the process contract between a service and its supervisor. */
const fakeService = `
import { createServer } from 'node:http';
import { basename, dirname } from 'node:path';
const service = basename(dirname(dirname(process.argv[1])));
const log = (msg) => console.log(JSON.stringify({ level: 30, time: Date.now(), service, msg }));
if (process.env.FAKE_WRONG === service) {
  console.error('PORT: must be a number (environment)\\nCOLOUR: is missing (environment)');
  process.exit(78);
}
if (process.argv[2] === 'migrate') process.exit(0);
if (process.env.FAKE_CRASH === service) {
  log('about to fall');
  throw new Error('fell over');
}
const server = createServer((request, response) => response.end(JSON.stringify(process.env)));
const reusePort = process.env.REUSE_PORT === 'true';
server.listen({ port: Number(process.env.PORT), host: process.env.HOST, reusePort }, () => {
  log('listening');
  process.send({ type: 'ready', url: 'http://127.0.0.1:' + server.address().port });
});
process.on('SIGTERM', () => {
  log('draining');
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
process.on('disconnect', () => process.exit(1));
`;

/** Replaces the real builder: reports a build at its start and on each SIGUSR2. */
const fakeBuilder = `
console.log('built ' + process.argv[2] + ' in 1 ms');
process.on('SIGUSR2', () => console.log('built ' + process.argv[2] + ' in 1 ms'));
setInterval(() => undefined, 1000);
`;

const facts = {
  name: 'fake',
  roles: ['merchant'],
  languages: ['en'],
  localStaff: ['merchant', 'operator'],
};
const ports: Record<string, object> = { gateway: { port: 3000 }, registry: { port: 8761 } };

/** A workspace with fake services. */
export class FakeWorkspace extends Jogakbo {
  protected override readonly workspace = this.folder;

  override async make(services: string[] = []): Promise<void> {
    await super.make();
    const bin = join(this.folder, 'node_modules', '.bin');
    mkdirSync(bin, { recursive: true });
    symlinkSync(nodePath(), join(bin, 'node'));
    writeFileSync(join(bin, 'nx'), '#!/bin/sh\necho "> nx run orders:build"\n', { mode: 0o755 });
    const builder = join(this.folder, 'tools', 'delivery', 'src');
    mkdirSync(builder, { recursive: true });
    writeFileSync(join(builder, 'build.ts'), fakeBuilder);
    writeFileSync(join(this.folder, 'package.json'), JSON.stringify({ version: '1.2.3' }));
    writeFileSync(join(this.folder, 'jogakbo.config.ts'), `export default ${JSON.stringify(facts)};\n`);
    services.forEach((name) => this.addService(name));
  }

  addService(name: string, main = fakeService): void {
    const app = join(this.folder, 'apps', name);
    mkdirSync(join(app, 'dist'), { recursive: true });
    writeFileSync(
      join(app, 'package.json'),
      JSON.stringify({
        name,
        main: 'dist/main.js',
        type: 'module',
        jogakbo: { owner: 'fakes', database: name !== 'gateway', ...ports[name] },
      }),
    );
    writeFileSync(join(app, 'dist', 'main.js'), main);
    // The build copies it; the supervisor imports it before main.js.
    writeFileSync(join(app, 'dist', 'source-maps.js'), '');
    const bus = {
      service: name,
      contracts: [],
      calls: [],
      subscribesTo: [],
      publishes: [],
      isGateway: name === 'gateway',
    };
    writeFileSync(join(app, 'dist', 'bus.json'), JSON.stringify(bus));
  }
}
