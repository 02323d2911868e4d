import { DeclaredRole, Language } from '@jogakbo/contract';
import { z } from 'zod';
import { environmentOnly } from './settings.ts';

const list = z.string().transform((text) => text.split(',').flatMap((one) => one.trim() || []));

/** Settings with facts of `jogakbo.config.ts`, which the launcher passes to the services that declare them. */
export const languagesSetting = list
  .pipe(z.array(Language).min(1))
  .describe('languages of texts for members, separated by commas; the first one is the default');

export const rolesSetting = environmentOnly(
  list
    .prefault('')
    .pipe(z.array(DeclaredRole))
    .describe('roles of members in addition to member and operator, separated by commas'),
);
