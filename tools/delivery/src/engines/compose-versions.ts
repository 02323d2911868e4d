import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { Release } from '../engine.ts';
import { containerLabels } from './compose-project.ts';

/**
 * The current versions of the services of a Compose project, in a folder of this machine: `versions.json`, and the Compose
 * file `versions.yml` that sets their images on top of docker-compose.yml.
 */
export class ComposeVersions {
  /** The Compose file to use after that of the workspace. */
  readonly file: string;
  /** The names of all services in the Compose file of the workspace. */
  readonly services: readonly string[];
  readonly #record: string;
  readonly #getImage: (release: Release) => string;

  /** @param composeFile of the workspace */
  constructor(folder: string, composeFile: string, getImage: (release: Release) => string) {
    mkdirSync(folder, { recursive: true });
    this.file = join(folder, 'versions.yml');
    this.#record = join(folder, 'versions.json');
    this.#getImage = getImage;
    const { services } = parse(readFileSync(composeFile, 'utf8'), { merge: true }) as { services: object };
    this.services = Object.keys(services);
    this.reset();
  }

  /** The current version of a service; undefined if none was promoted yet. */
  get(service: string): string | undefined {
    return this.#read()[service];
  }

  /** Lets the Compose file name this version. It is not the current one yet. */
  use({ service, version }: Release): void {
    this.#write({ ...this.#read(), [service]: version });
  }

  /** Lets the Compose file name the current versions. */
  reset(): void {
    this.#write(this.#read());
  }

  /** Makes the version the current one. */
  keep({ service, version }: Release): void {
    const versions = { ...this.#read(), [service]: version };
    writeAtomically(this.#record, `${JSON.stringify(versions, null, 2)}\n`);
    this.#write(versions);
  }

  #read(): Record<string, string> {
    if (!existsSync(this.#record)) return {};
    return JSON.parse(readFileSync(this.#record, 'utf8')) as Record<string, string>;
  }

  #write(versions: Record<string, string>): void {
    const services: Record<string, object> = {};
    for (const [service, version] of Object.entries(versions)) {
      if (!this.services.includes(service)) continue;
      const image = this.#getImage({ service, version });
      const [environment, labels] = [{ SERVICE_VERSION: version }, { [containerLabels.version]: version }];
      services[service] = { image, environment, labels };
      if (this.services.includes(`${service}-migrate`)) services[`${service}-migrate`] = { image };
    }
    writeAtomically(this.file, `# Written by \`jogakbo deploy\`.\n${stringify({ services })}`);
  }
}

function writeAtomically(path: string, text: string): void {
  const draft = `${path}.${process.pid}.tmp`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, path);
}
