/** Compares versions of contracts: the public part of this folder. */
export { comparePublicApi } from './compare-public.ts';
export { compareSchemas, type SchemaComparison, type SchemaProblem } from './compare-schemas.ts';
export { compareForeignEvent, compareUse, listPossibleUses, type Incompatibility } from './compare-uses.ts';
