import ts from 'typescript';
import { GeneratorError } from './generator-error.ts';
import { findServiceClass, listImportedNames, listTopLevelNames, parseSource } from './service-files.ts';

/** A source file that is being edited. Edits insert text and keep everything else, also comments and formatting. */
export class SourceEdits {
  readonly #path: string;
  #text: string;

  /** @throws GeneratorError if the text has a syntax error */
  constructor(path: string, text: string) {
    this.#path = path;
    this.#text = text;
    parseSource(path, text);
  }

  get text(): string {
    return this.#text;
  }

  get #source(): ts.SourceFile {
    return parseSource(this.#path, this.#text);
  }

  #insert(position: number, text: string): void {
    this.#text = this.#text.slice(0, position) + text + this.#text.slice(position);
  }

  /** @throws GeneratorError if the file already declares or imports the name */
  assertFree(name: string): void {
    if (listTopLevelNames(this.#source).includes(name))
      throw new GeneratorError(`${this.#path} already has the name ${name}.`, 'Choose another name.');
  }

  /** Imports a name. Extends an existing import of the same module, else adds one in the order of the workspace. */
  addImport(name: string, module: string): void {
    const imports = this.#source.statements.filter(ts.isImportDeclaration);
    const isSame = ({ moduleSpecifier, importClause }: ts.ImportDeclaration) =>
      (moduleSpecifier as ts.StringLiteral).text === module &&
      importClause?.phaseModifier === undefined &&
      importClause?.namedBindings !== undefined &&
      ts.isNamedImports(importClause.namedBindings);
    if (imports.some((one) => isSame(one) && listImportedNames(one).includes(name))) return;
    const existing = imports.find(isSame);
    if (existing) {
      const { elements } = existing.importClause!.namedBindings as ts.NamedImports;
      const next = elements.find((element) => compare(element.name.text, name) > 0);
      if (next) this.#insert(next.getStart(), `${name}, `);
      else if (elements.hasTrailingComma) this.#insert(elements.end, ` ${name},`);
      else this.#insert(elements.end, `${elements.length > 0 ? ', ' : ''}${name}`);
      return;
    }
    const line = `import { ${name} } from '${module}';\n`;
    const later = imports.find((one) => isAfter((one.moduleSpecifier as ts.StringLiteral).text, module));
    if (later) this.#insert(later.getStart(), line);
    else if (imports.length > 0) this.#insert(imports.at(-1)!.end, `\n${line.trimEnd()}`);
    else this.#insert(0, `${line}\n`);
  }

  /** Adds statements at the end of the file. */
  append(statements: string): void {
    this.#text = `${this.#text.trimEnd()}\n\n${statements.trim()}\n`;
  }

  /**
   * Adds an element at the end of a list of `@Service({…})`, and the list if it is missing.
   * @throws GeneratorError if the property is something else than a list
   */
  addToService(property: 'handlers' | 'sagas' | 'projections' | 'migrations', element: string): void {
    const list = this.#findServiceList(property);
    if (!list) return this.#addServiceProperty(property, `[${element}]`);
    const { elements } = list;
    if (elements.some((one) => one.getText() === element)) return;
    const last = elements.at(-1);
    if (last) this.#insert(last.end, `, ${element}`);
    else this.#insert(list.getStart() + 1, element);
  }

  /** Adds an element before the first one of a list of `@Service({…})` that is no spread. Does nothing if it is there. */
  addSpreadToService(property: 'migrations', name: string): void {
    const list = this.#findServiceList(property);
    if (!list) return this.#addServiceProperty(property, `[...${name}]`);
    const { elements } = list;
    if (elements.some((one) => one.getText() === `...${name}`)) return;
    const next = elements.find((one) => !ts.isSpreadElement(one));
    if (next) this.#insert(next.getStart(), `...${name}, `);
    else if (elements.length > 0) this.#insert(elements.at(-1)!.end, `, ...${name}`);
    else this.#insert(list.getStart() + 1, `...${name}`);
  }

  #findServiceList(property: string): ts.ArrayLiteralExpression | undefined {
    const { options } = findServiceClass(this.#source)!;
    const found = options.properties.find((one) => one.name?.getText() === property);
    if (!found) return undefined;
    if (ts.isPropertyAssignment(found) && ts.isArrayLiteralExpression(found.initializer))
      return found.initializer;
    throw new GeneratorError(
      `${this.#path}: "${property}" of @Service is not written as a list, so nothing can be added to it.`,
      `Write it as ${property}: […] first.`,
    );
  }

  #addServiceProperty(property: string, value: string): void {
    const { properties } = findServiceClass(this.#source)!.options;
    this.#insert(properties.at(-1)!.end, `,\n${property}: ${value}`);
  }
}

const compare = (one: string, other: string): number => one.localeCompare(other, 'en');

/** The order of imports: Node and packages, then folders above, then this folder; each by name. */
const rank = (module: string): number =>
  module.startsWith('node:') ? 0 : module.startsWith('./') ? 3 : module.startsWith('.') ? 2 : 1;

const isAfter = (one: string, other: string): boolean =>
  rank(one) !== rank(other) ? rank(one) > rank(other) : compare(one, other) > 0;
