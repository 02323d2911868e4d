import { join } from 'node:path';
import { accesses, listPolicies, pathParameters } from '@jogakbo/contract';
import { readWorkspaceConfig, RouteName } from '@jogakbo/contract/workspace';
import { formatFiles, generateFiles, type Tree } from '@nx/devkit';
import { assertRoutesFree } from '../contracts.ts';
import { finish } from '../finish.ts';
import { GeneratorError } from '../generator-error.ts';
import * as names from '../names.ts';
import { assertNewFiles, editContract, editModule } from '../service-edits.ts';
import { findService, type ServiceFiles } from '../service-files.ts';

export interface RequestOptions {
  service: string;
  name: string;
  /** `METHOD /path/{parameter}` */
  route?: string;
  access?: string;
}

/** Generates a command or a query: its contract, a handler that rejects with `not-implemented`, and a test. */
export async function generateRequest(
  tree: Tree,
  kind: 'command' | 'query',
  { service, name, route, access }: RequestOptions,
): Promise<() => Promise<void>> {
  const files = findService(tree, service);
  names.assertKebabName(name, kind);
  await assertRoute(tree, kind, route, access);
  const [handlerFile, specFile] = [`src/${name}.ts`, `test/${name}.int.spec.ts`];
  assertNewFiles(tree, [`${files.folder}/${handlerFile}`, `${files.folder}/${specFile}`]);
  const contract = names.toPascalCase(name);
  const fields = route ? pathParameters(route) : [getSubject(name, service)];
  const request = { kind, name, contract, fields, route, access };

  editContract(tree, files, (edits) => {
    edits.assertFree(contract);
    for (const type of new Set(fields.map(getType))) edits.addImport(type.import, '@jogakbo/contract');
    edits.addImport('z', 'zod');
    edits.append(formatContract(files, request));
  });
  editModule(tree, files, (edits) => {
    edits.addImport(`${contract}Handler`, `./${name}.ts`);
    edits.addToService('handlers', `${contract}Handler`);
  });
  generateFiles(tree, join(import.meta.dirname, 'files'), files.folder, {
    ...request,
    contractPackage: files.contractPackage,
    moduleClass: files.moduleClass,
    moduleImport: files.moduleImport,
    example: fields.map((field) => `${field}: ${getType(field).example}`).join(', '),
    hasUuid: fields.some((field) => getType(field) === uuid),
  });
  await formatFiles(tree);
  return () =>
    finish(
      tree.root,
      [],
      [
        `${service}.${name} rejects every call with "not-implemented" until you write it:`,
        `  ${files.contractFile}: its input and output`,
        `  ${files.folder}/${handlerFile}: what it does; remove the rejection`,
        `  ${files.folder}/${specFile}: what you expect of it`,
      ],
    );
}

/** `archive-note` → `noteId`. Without a noun, the name of the service is used. */
function getSubject(name: string, service: string): string {
  const noun = name.split('-').slice(1).join('-') || service;
  return `${names.toCamelCase(names.toSingular(noun))}Id`;
}

interface FieldType {
  /** What the contract imports for it. */
  import: string;
  schema: string;
  /** TypeScript of an example. */
  example: string;
}

const uuid: FieldType = { import: 'Id', schema: 'Id', example: 'randomUUIDv7()' };
const text: FieldType = { import: 'lineOfText', schema: 'lineOfText(100)', example: "'text'" };

const getType = (field: string): FieldType => (field.endsWith('Id') || field === 'id' ? uuid : text);

async function assertRoute(
  tree: Tree,
  kind: 'command' | 'query',
  route: string | undefined,
  access: string | undefined,
): Promise<void> {
  if (route === undefined) {
    if (access !== undefined)
      throw new GeneratorError('--access needs --route: without one, only services call it.');
    return;
  }
  const method = kind === 'query' ? 'GET' : 'POST';
  if (!RouteName.safeParse(route).success)
    throw new GeneratorError(`"${route}" is not a route.`, `Write it as "${method} /v1/things/{thingId}".`);
  if (kind === 'command' && route.startsWith('GET '))
    throw new GeneratorError(
      `A command changes something, so it cannot have the route "${route}".`,
      'Use POST, PUT, PATCH or DELETE.',
    );
  const policies = listPolicies((await readWorkspaceConfig(tree.root)).roles);
  if (access === undefined || !policies.includes(access))
    throw new GeneratorError(
      access === undefined ? `${route} needs an access policy.` : `There is no access policy "${access}".`,
      `Choose one with --access: ${policies.join(', ')}. All but ${accesses.join(', ')} are roles of jogakbo.config.ts.`,
    );
  await assertRoutesFree(tree.root, [route]);
}

interface Request {
  kind: 'command' | 'query';
  name: string;
  contract: string;
  fields: string[];
  route: string | undefined;
  access: string | undefined;
}

function formatContract(
  { contractConstant }: ServiceFiles,
  { kind, name, contract, fields, route, access }: Request,
): string {
  const schema = fields.map((field) => `${field}: ${getType(field).schema}`).join(', ');
  return `
    export const ${contract} = ${contractConstant}.${kind}('${name}', {
      description: '${names.toSentence(name)}',
      input: z.strictObject({ ${schema} }),
      ${kind === 'query' ? `output: z.object({ ${schema} }),` : ''}
      rejections: { 'not-implemented': 501 },
      ${route ? `http: '${route}',\naccess: '${access}',` : kind === 'command' ? `subject: '${fields[0]}',` : ''}
    });`;
}
