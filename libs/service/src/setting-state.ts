import type { Reply } from '@jogakbo/contract';
import { secretMask, type InForce, type ReadSettings } from '@jogakbo/contracts-config';
import type { z } from 'zod';
import { environmentName, readSetting, type WrongSetting } from './environment.ts';
import { describeProblem, isMarked } from './settings.ts';

/** A value from the config server; a secret one is still encrypted. */
export type ServerValue = Reply<typeof ReadSettings>['sources'][number]['settings'][number] & {
  application: string;
  profile: string;
};

/** One setting of a service, with its state: where its value comes from, and what is wrong with it. */
export interface Setting {
  field: string;
  schema: z.ZodType;
  /** The injected object that has the field. */
  target: Record<string, unknown>;
  origin: InForce['origin'];
  /** The text in the environment. */
  environmentText: string | undefined;
  /** Why the service cannot start with the setting. */
  startProblem?: WrongSetting | undefined;
  /** The value in force, if it is from the config server. */
  serverValue?: ServerValue | undefined;
  /** A value that takes effect after a restart; with `serverValue` undefined it is the default. */
  afterRestart?: { serverValue: ServerValue | undefined } | undefined;
  /** The latest value from the config server, if it is invalid. */
  refusedValue?: { serverValue: ServerValue | undefined; problem: string } | undefined;
}

/** Reads a setting from the environment, else its default, into `target`. */
export function readFromEnvironment(
  field: string,
  schema: z.ZodType,
  target: Record<string, unknown>,
  environment: NodeJS.ProcessEnv,
): Setting {
  const key = environmentName(field);
  const read = readSetting(key, environment, isMarked(schema, 'secret'));
  const environmentText = 'problem' in read ? undefined : read.value;
  const setting: Setting = { field, schema, target, origin: toOrigin(read), environmentText };
  if ('problem' in read) return { ...setting, startProblem: read };
  const result = schema.safeParse(read.value);
  if (!result.success) {
    const problem = describeProblem(schema, read.value, result.error);
    return { ...setting, startProblem: { key, origin: read.origin, problem } };
  }
  target[field] = result.data;
  return setting;
}

const toOrigin = ({ origin }: { origin: string }): InForce['origin'] =>
  origin === 'not set' ? 'default' : origin === 'environment' ? 'environment' : 'file';

/** True if the environment sets it, so that the config server cannot. */
export const isFixed = ({ origin }: Setting): boolean => origin === 'environment' || origin === 'file';

/** Names the source of a value, for logs and errors. */
export const describeSource = ({ application, profile, version }: ServerValue): string =>
  `version ${version} of ${application}/${profile}`;

/** Describes a setting for the config server. Treats every value from a separate file as secret. */
export function toInForce(setting: Setting): InForce {
  const { field, schema, target, origin, environmentText, serverValue, afterRestart, refusedValue } = setting;
  const value = target[field];
  const isSecret = isMarked(schema, 'secret') || origin === 'file' || serverValue?.secret === true;
  // A schema may convert a text to a function.
  const text =
    typeof value === 'string'
      ? value
      : (JSON.stringify(value) ?? serverValue?.value ?? environmentText ?? '');
  return {
    key: field,
    value: value === undefined ? null : isSecret ? secretMask : maskPassword(text),
    origin,
    live: isMarked(schema, 'live'),
    ...(serverValue && { from: describeChange(serverValue) }),
    ...(afterRestart && { afterRestart: describeChange(afterRestart.serverValue) }),
    ...(refusedValue && { refused: `${describeChange(refusedValue.serverValue)}: ${refusedValue.problem}` }),
  };
}

const describeChange = (value: ServerValue | undefined): string =>
  value ? `${describeSource(value)} by ${value.by}` : 'no longer set';

/** A URL may contain a password, whatever the name of its setting. */
const maskPassword = (text: string): string =>
  text.replace(/(:\/\/[^:/@\s]*:)[^@/\s]+@/g, `$1${secretMask}@`);
