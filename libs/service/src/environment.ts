import { closeSync, fstatSync, openSync, readFileSync, realpathSync } from 'node:fs';

/** A wrong setting and its origin. The value is left out, because it may be secret. */
export interface WrongSetting {
  key: string;
  origin: string;
  problem: string;
}

export const environmentName = (field: string): string =>
  field.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();

/**
 * Reads a setting from the variable NAME, or from the file that NAME_FILE names.
 * @param isSecret true if other users of this machine must not be able to read the file
 * @returns value undefined if neither is set; a problem if both are set, or if the file is missing, empty or readable by
 *   others
 */
export function readSetting(
  key: string,
  environment: NodeJS.ProcessEnv,
  isSecret: boolean,
): { key: string; origin: string; value: string | undefined } | WrongSetting {
  const value = environment[key] || undefined;
  const path = environment[`${key}_FILE`];
  if (!path) return { key, origin: value === undefined ? 'not set' : 'environment', value };
  const origin = `file named by ${key}_FILE`;
  if (value !== undefined) {
    return {
      key,
      origin: 'environment',
      problem: `is set twice, by ${key} and by ${key}_FILE: unset one of them`,
    };
  }
  const read = readSettingFile(path, isSecret);
  return 'problem' in read ? { key, origin, problem: read.problem } : { key, origin, value: read.text };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function readSettingFile(path: string, isSecret: boolean): { text: string } | { problem: string } {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    if (isSecret && !isMounted(path) && isOpenToOthers(file)) {
      return { problem: `${path} can be read by other users of this machine: chmod 600 ${path}` };
    }
    const text = utf8.decode(readFileSync(file)).trim();
    return text === '' ? { problem: `${path} is empty` } : { text };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { problem: `${path} ${code === 'ENOENT' ? 'does not exist' : `cannot be read: ${code}`}` };
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/**
 * Docker Compose, Docker Swarm and Podman mount the secrets of a container in this folder, by default with mode 0444: all
 * users of the container may read them, and it has one.
 */
const isMounted = (path: string): boolean => realpathSync(path).startsWith('/run/secrets/');

/** Like libpq for keys: only the owner may read the file; a group may read files of root (Kubernetes' `fsGroup`). */
function isOpenToOthers(file: number): boolean {
  // Windows has no file modes.
  if (process.platform === 'win32') return false;
  const { mode, uid } = fstatSync(file);
  return (mode & (uid === 0 ? 0o037 : 0o077)) !== 0;
}
