import { join } from 'node:path';
import { formatFiles, generateFiles, type Tree } from '@nx/devkit';
import { findEvent, getPackage } from '../contracts.ts';
import { formatExample, readEventFacts } from '../event-key.ts';
import { finish } from '../finish.ts';
import * as names from '../names.ts';
import { assertDatabase, assertNewFiles, editModule } from '../service-edits.ts';
import { findService } from '../service-files.ts';
import { addDependency } from '../workspace-packages.ts';

export interface SagaOptions {
  service: string;
  name: string;
  /** Its full name. */
  event: string;
  key?: string;
}

/** Generates a saga that starts with an event and ends after ten minutes, and its test. */
export default async function generateSaga(
  tree: Tree,
  { service, name, event, key }: SagaOptions,
): Promise<() => Promise<void>> {
  const files = findService(tree, service);
  names.assertConstantName(name, 'saga');
  assertDatabase(tree, files);
  const start = await findEvent(tree.root, event);
  const facts = readEventFacts(start.contract, key);
  const sagaFile = `${files.folder}/src/${name}.saga.ts`;
  assertNewFiles(tree, [sagaFile, sagaFile.replace(/\.ts$/, '.spec.ts')]);
  const constant = names.toCamelCase(name);
  editModule(tree, files, (edits) => {
    edits.assertFree(constant);
    edits.addImport(constant, `./${name}.saga.ts`);
    edits.addToService('sagas', constant);
  });
  addDependency(tree, files.folder, getPackage(start));
  generateFiles(tree, join(import.meta.dirname, 'files'), files.folder, {
    name,
    constant,
    event: start.exportName,
    eventName: event,
    eventConstant: names.toCamelCase(names.toKebabCase(start.exportName).slice(1)),
    contractPackage: getPackage(start),
    key: facts.key,
    keyExample: facts.example[facts.key],
    example: formatExample(facts),
  });
  await formatFiles(tree);
  return () =>
    finish(tree.root, { projects: [files.folder], services: [service] }, [
      `Each ${event} starts a run of the saga ${name}, which ends after ten minutes.`,
      `Add its steps in ${sagaFile}: on this event, send that command.`,
      `List the commands of other services that it sends in "calls" of ${files.moduleFile}.`,
    ]);
}
