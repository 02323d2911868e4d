import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import {
  type Artefact,
  assertBuilt,
  readArtefact,
  writeDescription,
  writeDist,
  writeFolder,
} from './artefact.ts';
import { listServices, type WorkspaceContents } from './content.ts';
import type { LockedPackage } from './lock-file.ts';
import { placePackages } from './package-files.ts';

/** A tree of packages that no artefact uses is kept this long: artefacts of other folders may use it. */
const unusedPackagesMs = 7 * 24 * 3_600_000;

/**
 * Writes one built service into `<artefacts>/<service>/<version>` in the form for this machine: with the bundle and
 * artefact.json of its own, and packages that all services share. They are hard links in `.jogakbo/packages` of the
 * workspace, so that a later `npm install` or build changes nothing of a running or an older version. Takes milliseconds,
 * and about two seconds after a change of package-lock.json. Writes nothing if the version exists.
 * @throws DeliveryError if the service is not built, or a package is missing
 */
export function writeLightArtefact(workspace: WorkspaceContents, service: string, artefacts: string): string {
  const closure = workspace.resolveProduction(service);
  const content = workspace.readService(service, closure);
  const target = join(artefacts, service, content.version);
  if (readArtefact(target)?.hash === content.hash) return target;
  assertBuilt(workspace.root, service);
  const packages = placeSharedPackages(workspace);
  writeFolder(target, (folder) => {
    writeDist(workspace.root, service, folder);
    for (const place of new Set([...closure.packages.keys()].map(findNodeModules))) {
      mkdirSync(dirname(join(folder, place)), { recursive: true });
      symlinkSync(join(packages, place), join(folder, place));
    }
    return writeDescription(content, closure, folder);
  });
  return target;
}

/** The outermost node_modules of a path. */
const findNodeModules = (path: string): string =>
  path.slice(0, path.indexOf('node_modules') + 'node_modules'.length);

const getPackagesFolder = (root: string): string => join(root, '.jogakbo', 'packages');

/** The packages of all services, once for each state of package-lock.json. */
function placeSharedPackages(workspace: WorkspaceContents): string {
  const packages = new Map<string, LockedPackage>();
  for (const service of listServices(workspace.root))
    for (const [path, one] of workspace.resolveProduction(service).packages) packages.set(path, one);
  const lines = [...packages.values()].map(({ path, integrity }) => `${path} ${integrity}`).sort();
  const key = createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 20);
  const target = join(getPackagesFolder(workspace.root), key);
  if (!existsSync(target))
    writeFolder(target, (folder) => placePackages(workspace.root, packages.values(), folder));
  utimesSync(target, new Date(), new Date());
  return target;
}

/** Lists the artefacts in the folder that was given to writeLightArtefact. */
export function listLightArtefacts(artefacts: string): Artefact[] {
  return listFolders(artefacts).flatMap((service) =>
    listFolders(join(artefacts, service)).flatMap(
      (version) => readArtefact(join(artefacts, service, version)) ?? [],
    ),
  );
}

/** Removes the artefacts that `isNeeded` denies, and packages that were last used a week ago. */
export function removeLightArtefacts(
  root: string,
  artefacts: string,
  isNeeded: (artefact: Artefact) => boolean,
): void {
  const used = new Set<string>();
  for (const artefact of listLightArtefacts(artefacts)) {
    const folder = join(artefacts, artefact.service, artefact.version);
    if (isNeeded(artefact)) used.add(dirname(readlinkSync(join(folder, 'node_modules'))));
    else rmSync(folder, { recursive: true });
  }
  const all = getPackagesFolder(root);
  for (const folder of listFolders(all).map((name) => join(all, name)))
    if (!used.has(folder) && statSync(folder).mtimeMs < Date.now() - unusedPackagesMs)
      rmSync(folder, { recursive: true });
}

const listFolders = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { withFileTypes: true }).flatMap((one) => (one.isDirectory() ? [one.name] : []))
    : [];
