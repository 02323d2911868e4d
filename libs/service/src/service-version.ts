import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** That of the bundle which contains this file. Installed as a package, this file is no part of the service. */
const codeFolder = /[/\\]node_modules[/\\]/.test(import.meta.dirname)
  ? dirname(process.argv[1]!)
  : import.meta.dirname;

/**
 * The version of the running code: SERVICE_VERSION, else that of the artefact of this service, else that of the nearest
 * package.json.
 * @param folder where the code is; the files are searched there and in the folders above
 */
export function readServiceVersion(
  service: string,
  environment: NodeJS.ProcessEnv,
  folder = codeFolder,
): string {
  return (
    environment['SERVICE_VERSION'] ||
    // Another one above belongs to something else.
    (findVersion(folder, 'artefact.json', (artefact) => artefact.service === service) ??
      findVersion(folder, 'package.json') ??
      '0.0.0')
  );
}

interface Versioned {
  service?: string;
  version?: string;
}

function findVersion(
  folder: string,
  file: string,
  isOwn: (content: Versioned) => boolean = () => true,
): string | undefined {
  const content = readJson(join(folder, file));
  if (content?.version && isOwn(content)) return content.version;
  const parent = dirname(folder);
  return parent === folder ? undefined : findVersion(parent, file, isOwn);
}

function readJson(file: string): Versioned | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Versioned;
  } catch {
    return undefined;
  }
}
