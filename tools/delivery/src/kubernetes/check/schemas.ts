import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { KubernetesObject } from '../objects.ts';
import { findUnknownKeys } from './unknown-keys.ts';
import { ownSchemas } from './own-schemas.ts';

/** The npm package with the schemas of an API group. All other groups are those of Kubernetes itself. */
const packages: Readonly<Record<string, string>> = {
  'argoproj.io': '@kubernetes-models/argo-cd',
  'cert-manager.io': '@kubernetes-models/cert-manager',
  'external-secrets.io': '@kubernetes-models/external-secrets',
  'keda.sh': '@kubernetes-models/keda',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
  'postgresql.cnpg.io': '@kubernetes-models/cloudnative-pg',
};

interface Model {
  new (): object;
  prototype: { validate: (this: object) => void };
}

interface SchemaError {
  instancePath: string;
  message: string;
}

/**
 * Checks an object against the JSON Schema of its kind. Stricter than the API server: an unknown key is a problem.
 * @returns problems with their paths
 */
export async function checkSchema(object: KubernetesObject): Promise<string[]> {
  const { apiVersion, kind } = object;
  const own = ownSchemas[`${apiVersion} ${kind}`];
  if (own) {
    const { error } = own.safeParse(object);
    return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
  }
  const model = await findModel(apiVersion, kind);
  if (!model)
    return [`apiVersion: no schema of ${apiVersion} ${kind} is known: correct it, or add its package`];
  const problems: string[] = [];
  const unknown = findUnknownKeys(object, (data) => {
    try {
      model.prototype.validate.call(data);
    } catch (error) {
      const { errors } = error as { errors?: SchemaError[] };
      if (!errors) throw error;
      problems.push(...errors.map(formatError));
    }
  });
  return [...unknown.map((path) => `${path}: is not a field of ${kind}`), ...new Set(problems)];
}

const { resolve } = createRequire(import.meta.url);

async function findModel(apiVersion: string, kind: string): Promise<Model | undefined> {
  const [group] = apiVersion.split('/');
  const folder = dirname(resolve(`${packages[group!] ?? 'kubernetes-models'}/package.json`));
  const file = join(folder, apiVersion, `${kind}.js`);
  if (!file.startsWith(`${folder}/`) || !existsSync(file)) return undefined;
  const found = (await import(pathToFileURL(file).href)) as Record<string, Model>;
  return found[kind];
}

const formatError = ({ instancePath, message }: SchemaError): string =>
  `${instancePath.slice(1).replaceAll('/', '.') || 'the object'}: ${message}`;
