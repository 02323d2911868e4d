import { join } from 'node:path';
import { Id } from '@jogakbo/contract';
import { formatFiles, generateFiles, type Tree } from '@nx/devkit';
import { loadContracts } from '../contracts.ts';
import { readEventFacts, toKeySubstitutions, type EventFacts } from '../event-key.ts';
import { createExample } from '../example.ts';
import { finish } from '../finish.ts';
import { GeneratorError } from '../generator-error.ts';
import * as names from '../names.ts';
import { assertNewFiles, editContract, editModule } from '../service-edits.ts';
import { findService, type ServiceFiles } from '../service-files.ts';
import { addDependency } from '../workspace-packages.ts';

export interface EventOptions {
  service: string;
  name: string;
  handledBy?: string;
  key?: string;
}

/** Generates an event of a service, and a handler for it in another service. Either can exist already. */
export default async function generateEvent(
  tree: Tree,
  { service, name, handledBy, key }: EventOptions,
): Promise<() => Promise<void>> {
  const publisher = findService(tree, service);
  const consumer = handledBy === undefined ? undefined : findService(tree, handledBy);
  if (consumer && handledBy === service)
    throw new GeneratorError(
      `${service} publishes the event itself.`,
      'Do in the handler that publishes it what should follow, or start a saga with it: nx g saga.',
    );
  const existing = (await loadContracts(tree.root, service)).find(
    ({ contract }) => contract.name === `${service}.${name}`,
  );
  if (existing && (!consumer || existing.contract.kind !== 'event'))
    throw new GeneratorError(
      `${service} already has the ${existing.contract.kind} ${name}.`,
      existing.contract.kind === 'event'
        ? 'For a handler in another service, add --handledBy=<service>.'
        : undefined,
    );
  const next = existing ? [] : [declareEvent(tree, publisher, name, key)];
  if (consumer) {
    const facts =
      existing?.contract.kind === 'event'
        ? readEventFacts(existing.contract, key)
        : describeNewEvent(publisher, name, key);
    const contract = existing?.exportName ?? names.toPascalCase(name);
    next.push(addHandler(tree, consumer, publisher, { name, contract, facts }));
  }
  await formatFiles(tree);
  return () => finish(tree.root, consumer ? [consumer.folder] : [], next);
}

/** `note-archived` → `noteId`. */
function chooseKey({ name: service }: ServiceFiles, name: string, key: string | undefined): string {
  const noun = name.split('-').slice(0, -1).join('-') || names.toSingular(service);
  const chosen = key ?? `${names.toCamelCase(noun)}Id`;
  if (!/^[a-z]\w*$/i.test(chosen)) throw new GeneratorError(`"${chosen}" cannot be the name of a field.`);
  return chosen;
}

function describeNewEvent(publisher: ServiceFiles, name: string, wanted: string | undefined): EventFacts {
  const key = chooseKey(publisher, name, wanted);
  return { key, isUuid: true, example: { [key]: createExample(Id) } };
}

/** @returns what the developer does next */
function declareEvent(tree: Tree, publisher: ServiceFiles, name: string, wanted: string | undefined): string {
  names.assertKebabName(name, 'event');
  const key = chooseKey(publisher, name, wanted);
  const contract = names.toPascalCase(name);
  editContract(tree, publisher, (edits) => {
    edits.assertFree(contract);
    edits.addImport('Id', '@jogakbo/contract');
    edits.addImport('z', 'zod');
    edits.append(
      `export const ${contract} = ${publisher.contractConstant}.event('${name}', z.object({ ${key}: Id }), { subject: '${key}' });`,
    );
  });
  return (
    `Publish ${publisher.name}.${name} in a handler of ${publisher.name}:  publish(${contract}({ ${key} }))\n` +
    `Add its fields in ${publisher.contractFile}.`
  );
}

/** @returns what the developer does next */
function addHandler(
  tree: Tree,
  consumer: ServiceFiles,
  publisher: ServiceFiles,
  { name, contract, facts }: { name: string; contract: string; facts: EventFacts },
): string {
  const file = `on-${name}`;
  const [handlerFile, specFile] = [
    `${consumer.folder}/src/${file}.ts`,
    `${consumer.folder}/test/${file}.int.spec.ts`,
  ];
  assertNewFiles(tree, [handlerFile, specFile]);
  const handlerClass = `${names.toPascalCase(file)}Handler`;
  editModule(tree, consumer, (edits) => {
    edits.addImport(handlerClass, `./${file}.ts`);
    edits.addToService('handlers', handlerClass);
  });
  addDependency(tree, consumer.folder, publisher.contractPackage);
  generateFiles(tree, join(import.meta.dirname, 'files'), consumer.folder, {
    file,
    name,
    contract,
    handlerClass,
    contractPackage: publisher.contractPackage,
    moduleClass: consumer.moduleClass,
    moduleImport: consumer.moduleImport,
    ...toKeySubstitutions(facts),
  });
  return `${consumer.name} logs each ${publisher.name}.${name}. Change what it does in ${handlerFile}.`;
}
