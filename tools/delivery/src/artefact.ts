import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { renderBom } from './bom.ts';
import { readManifest, type ServiceContent, type WorkspaceContents } from './content.ts';
import { DeliveryError } from './delivery-error.ts';
import type { ProductionClosure } from './lock-file.ts';
import { placePackages } from './package-files.ts';

/** What `artefact.json` says about the folder that it is in. */
export interface Artefact extends ServiceContent {
  /** Every third-party package as `name@version`. */
  dependencies: readonly string[];
}

/** Everything that the build of an app writes and a running service, or its deployment, reads. */
const distFiles = ['main.js', 'main.js.map', 'source-maps.js', 'bus.json', 'contract.json'];
const artefactFile = 'artefact.json';

/** Reads `artefact.json` of a folder; undefined if it is not an artefact. */
export function readArtefact(folder: string): Artefact | undefined {
  const file = join(folder, artefactFile);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Artefact) : undefined;
}

/**
 * Writes one built service into the folder `target`, which can then be copied to another machine and started with
 * `node --import=./dist/source-maps.js dist/main.js` in `apps/<service>`. It contains the bundle, the packages that the
 * service needs in production, artefact.json and bom.json, in the places that they have in the workspace. No other file
 * of the workspace can get into it. The same content gives the same files. Replaces an older artefact in the same place.
 * @throws DeliveryError if the service is not built, a package is missing, or `target` is no artefact
 */
export function writeArtefact(workspace: WorkspaceContents, service: string, target: string): Artefact {
  if (existsSync(target) && !readArtefact(target))
    throw new DeliveryError(`${target} exists and is not the artefact of a service.`, {
      remedies: ['remove it, or choose another folder:  --out <folder>'],
    });
  assertBuilt(workspace.root, service);
  const closure = workspace.resolveProduction(service);
  const content = workspace.readService(service, closure);
  return writeFolder(target, (folder) => {
    writeDist(workspace.root, service, folder);
    placePackages(workspace.root, closure.packages.values(), folder);
    writeFileSync(join(folder, 'bom.json'), renderBom(content, closure));
    const artefact = writeDescription(content, closure, folder);
    rmSync(target, { recursive: true, force: true });
    return artefact;
  });
}

/**
 * Lets `write` fill a new folder, and gives it the name `target` when it is complete. If `target` exists by then, it stays:
 * another process has written the same.
 */
export function writeFolder<T>(target: string, write: (folder: string) => T): T {
  const folder = `${target}.${process.pid}`;
  mkdirSync(folder, { recursive: true });
  try {
    const result = write(folder);
    renameUnlessTaken(folder, target);
    return result;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function renameUnlessTaken(folder: string, target: string): void {
  try {
    renameSync(folder, target);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
}

/** @throws DeliveryError if the service is not built */
export function assertBuilt(root: string, service: string): void {
  const app = `apps/${service}`;
  const missing = distFiles.filter((name) => !existsSync(join(root, app, 'dist', name)));
  if (missing.length > 0)
    throw new DeliveryError(`${service} is not built.`, {
      details: missing.map((name) => `${app}/dist/${name} is missing`),
      remedies: [`npx nx build ${service}`],
    });
}

/** Copies the build and what Node reads of its package.json. */
export function writeDist(root: string, service: string, target: string): void {
  const app = `apps/${service}`;
  mkdirSync(join(target, app, 'dist'), { recursive: true });
  // Not as links: the next build overwrites them.
  for (const name of distFiles) copyFileSync(join(root, app, 'dist', name), join(target, app, 'dist', name));
  const { name, version, type, main, jogakbo } = readManifest(root, app);
  writeJson(join(target, app, 'package.json'), { name, version, private: true, type, main, jogakbo });
}

export function writeDescription(
  content: ServiceContent,
  { packages }: ProductionClosure,
  folder: string,
): Artefact {
  const dependencies = new Set([...packages.values()].map(({ name, version }) => `${name}@${version}`));
  const artefact = { ...content, dependencies: [...dependencies].sort() };
  writeJson(join(folder, artefactFile), artefact);
  return artefact;
}

const writeJson = (file: string, value: unknown): void =>
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
