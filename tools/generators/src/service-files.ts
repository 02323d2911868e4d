import type { Tree } from '@nx/devkit';
import ts from 'typescript';
import { GeneratorError } from './generator-error.ts';

/** Where the parts of a service are. All paths are relative to the workspace. */
export interface ServiceFiles {
  name: string;
  /** `apps/<name>` */
  folder: string;
  contractFile: string;
  /** Package of the contract: `@jogakbo/contracts-<name>`. */
  contractPackage: string;
  /** The constant of the contract: `const <name> = service('<name>')`. */
  contractConstant: string;
  moduleFile: string;
  moduleClass: string;
  /** Where its tests, in `test`, import the module from. */
  moduleImport: string;
}

export const contractFolder = (service: string): string => `libs/contracts/${service}`;
export const contractPackage = (service: string): string => `@jogakbo/contracts-${service}`;

/** @throws GeneratorError if the file is missing */
export function readText(tree: Tree, path: string): string {
  const text = tree.read(path, 'utf-8');
  if (text === null) throw new GeneratorError(`${path} is missing.`);
  return text;
}

export const readJsonFile = <T>(tree: Tree, path: string): T => {
  try {
    return JSON.parse(readText(tree, path)) as T;
  } catch (error) {
    if (error instanceof GeneratorError) throw error;
    throw new GeneratorError(`${path} is not valid JSON: ${(error as Error).message}.`);
  }
};

export const writeJsonFile = (tree: Tree, path: string, value: unknown): void =>
  tree.write(path, `${JSON.stringify(value, null, 2)}\n`);

/** The names of all services: folders of `apps` with a module. */
export const listServices = (tree: Tree): string[] =>
  tree.children('apps').filter((name) => findModuleFile(tree, name) !== undefined);

/** Parses a source file. @throws GeneratorError if it has a syntax error */
export function parseSource(path: string, text: string): ts.SourceFile {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  // Internal, but the only result of the parser about syntax errors.
  const [error] = (source as unknown as { parseDiagnostics: ts.Diagnostic[] }).parseDiagnostics;
  if (!error) return source;
  const { line } = source.getLineAndCharacterOfPosition(error.start ?? 0);
  throw new GeneratorError(
    `${path}:${line + 1}: ${ts.flattenDiagnosticMessageText(error.messageText, ' ')}`,
    'Correct it first. Nothing was changed.',
  );
}

/** The class with the decorator `@Service({…})`, and the argument of the decorator. */
export function findServiceClass(
  source: ts.SourceFile,
): { name: string; options: ts.ObjectLiteralExpression } | undefined {
  for (const statement of source.statements) {
    if (!ts.isClassDeclaration(statement) || !statement.name) continue;
    for (const { expression } of ts.getDecorators(statement) ?? []) {
      if (!ts.isCallExpression(expression) || expression.expression.getText() !== 'Service') continue;
      const [options] = expression.arguments;
      if (options && ts.isObjectLiteralExpression(options)) return { name: statement.name.text, options };
    }
  }
  return undefined;
}

function findModuleFile(tree: Tree, service: string): string | undefined {
  return tree
    .children(`apps/${service}/src`)
    .filter((name) => name.endsWith('.module.ts'))
    .map((name) => `apps/${service}/src/${name}`)
    .find((path) => findServiceClass(parseSource(path, readText(tree, path))) !== undefined);
}

/** @throws GeneratorError if there is no such service, or if a part of it is not where services have it */
export function findService(tree: Tree, name: string): ServiceFiles {
  const moduleFile = findModuleFile(tree, name);
  if (!moduleFile) {
    const services = listServices(tree).join(', ');
    throw new GeneratorError(`There is no service "${name}".`, `The services are: ${services}.`);
  }
  const contractFile = `${contractFolder(name)}/src/index.ts`;
  if (!tree.exists(contractFile))
    throw new GeneratorError(`${name} has no contract: ${contractFile} is missing.`);
  const constant = findContractConstant(parseSource(contractFile, readText(tree, contractFile)), name);
  if (!constant)
    throw new GeneratorError(`${contractFile} has no "const … = service('${name}')" at its top level.`);
  return {
    name,
    folder: `apps/${name}`,
    contractFile,
    contractPackage: contractPackage(name),
    contractConstant: constant,
    moduleFile,
    moduleClass: findServiceClass(parseSource(moduleFile, readText(tree, moduleFile)))!.name,
    moduleImport: `../${moduleFile.slice(`apps/${name}/`.length)}`,
  };
}

function findContractConstant(source: ts.SourceFile, service: string): string | undefined {
  for (const declaration of listConstants(source)) {
    const { initializer, name } = declaration;
    if (!initializer || !ts.isCallExpression(initializer) || !ts.isIdentifier(name)) continue;
    const [first] = initializer.arguments;
    const isService = initializer.expression.getText() === 'service';
    if (isService && first && ts.isStringLiteralLike(first) && first.text === service) return name.text;
  }
  return undefined;
}

const listConstants = (source: ts.SourceFile): ts.VariableDeclaration[] =>
  source.statements.flatMap((one) =>
    ts.isVariableStatement(one) ? [...one.declarationList.declarations] : [],
  );

/** The names that a file declares or imports at its top level. */
export function listTopLevelNames(source: ts.SourceFile): string[] {
  return source.statements.flatMap((statement) => {
    if (ts.isVariableStatement(statement))
      return statement.declarationList.declarations.map(({ name }) => name.getText());
    if (ts.isImportDeclaration(statement)) return listImportedNames(statement);
    const { name } = statement as { name?: ts.Node };
    return name ? [name.getText()] : [];
  });
}

/** The local names that an import declares. */
export function listImportedNames({ importClause }: ts.ImportDeclaration): string[] {
  const { name, namedBindings } = importClause ?? {};
  const named = namedBindings && ts.isNamedImports(namedBindings) ? namedBindings.elements : [];
  return [...(name ? [name.text] : []), ...named.map((one) => one.name.text)];
}
