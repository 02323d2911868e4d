import { type z } from 'zod';
import { environmentName } from './environment.ts';
import { type SettingDescription } from './settings-description.ts';
import { type AnySettings, DatabaseSettings, isMarked, PlatformSettings } from './settings.ts';

/** Converts the settings of a service to plain data. @param classes all that it has */
export function describeSettings(classes: readonly AnySettings[]): SettingDescription[] {
  return classes.flatMap((one) =>
    Object.entries(one.shape).map(([key, schema]) => ({
      key,
      variable: environmentName(key),
      group: one === PlatformSettings ? 'platform' : one === DatabaseSettings ? 'database' : 'service',
      description: schema.description ?? '',
      ...describeDefault(schema),
      live: isMarked(schema, 'live'),
      secret: isMarked(schema, 'secret'),
      environmentOnly: isMarked(schema, 'environmentOnly'),
    })),
  );
}

/** The value without a variable. It may be parsed already: then it is shown as JSON. */
function describeDefault(schema: z.ZodType): Pick<SettingDescription, 'default' | 'required'> {
  const read = schema.safeParse(undefined);
  if (!read.success) return { required: true };
  const isShown = read.data !== undefined && !isMarked(schema, 'secret');
  const text = typeof read.data === 'string' ? read.data : JSON.stringify(read.data);
  return { required: false, ...(isShown && { default: text }) };
}
