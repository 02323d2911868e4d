import type { AnyEvent } from '@jogakbo/contract';
import type { Tree } from '@nx/devkit';
import { findEvent, getPackage, type KnownContract } from './contracts.ts';
import { readEventFacts, toKeySubstitutions, type EventFacts } from './event-key.ts';
import * as names from './names.ts';
import { assertDatabase, assertNewFiles, editModule } from './service-edits.ts';
import { findService, type ServiceFiles } from './service-files.ts';
import { addDependency } from './workspace-packages.ts';

/** A part of a service that an event starts or fills: a saga or a projection. */
export interface EventPartOptions {
  service: string;
  name: string;
  /** Its full name. */
  event: string;
  key?: string;
}

export interface EventPart {
  files: ServiceFiles;
  event: KnownContract & { contract: AnyEvent };
  facts: EventFacts;
  /** What the templates of both kinds use. */
  substitutions: Record<string, unknown>;
}

/**
 * Adds a part `src/<name>.<kind>.ts` to the module of a service, and the package of the event's contract to its dependencies.
 * @param specFile its test, in the folder of the service
 * @throws GeneratorError before anything is changed
 */
export async function addEventPart(
  tree: Tree,
  kind: 'saga' | 'projection',
  { service, name, event: eventName, key }: EventPartOptions,
  specFile: string,
): Promise<EventPart> {
  const files = findService(tree, service);
  names.assertConstantName(name, kind);
  assertDatabase(tree, files);
  const event = await findEvent(tree.root, eventName);
  const facts = readEventFacts(event.contract, key);
  assertNewFiles(tree, [`${files.folder}/src/${name}.${kind}.ts`, `${files.folder}/${specFile}`]);
  const constant = names.toCamelCase(name);
  editModule(tree, files, (edits) => {
    edits.assertFree(constant);
    edits.addImport(constant, `./${name}.${kind}.ts`);
    edits.addToService(`${kind}s`, constant);
  });
  addDependency(tree, files.folder, getPackage(event));
  const substitutions = {
    name,
    constant,
    event: event.exportName,
    eventName,
    contractPackage: getPackage(event),
    ...toKeySubstitutions(facts),
  };
  return { files, event, facts, substitutions };
}
