import {
  lineOfText,
  createPageSchema,
  pageQuery,
  sensitive,
  service,
  Timestamp,
  Version,
} from '@jogakbo/contract';
import { z } from 'zod';

export const config = service(
  'config',
  'Settings and secrets of the services: what holds, who changed it when and why, and what it was before.',
);

/** What stands where the value of a secret would stand. */
export const masked = '******';
/** The application whose settings all services share. */
export const shared = 'application';

const ApplicationName = z
  .string()
  .max(60)
  .regex(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/, 'lower case letters, digits and single dashes');
const ProfileName = z
  .string()
  .max(60)
  .regex(/^[a-zA-Z0-9][\w-]*$/, 'letters, digits, dashes and underscores');
const Label = z
  .string()
  .max(100)
  .regex(/^[a-zA-Z0-9][\w./-]*$/, 'letters, digits, dots, slashes, dashes and underscores');
/** `logLevel`, `retry.attempts`, `hosts[0]`. */
const SettingKey = z
  .string()
  .max(200)
  .regex(/^[a-zA-Z][\w-]*(\.[a-zA-Z0-9][\w-]*|\[\d{1,4}\])*$/, 'words, dots between them, [0] in a list');
const Reason = lineOfText(500);
/** 0: the beginning, with no settings. */
const VersionOrNone = z.int().min(0).max(Version.maxValue!);

/** Where settings lie: of whom, for which profile, under which label. The profile `default` holds always. */
const place = {
  application: ApplicationName,
  profile: ProfileName.default('default'),
  label: Label.default('main'),
};

/** A value that the config server holds. A secret one reads `******`. */
const Held = z.object({
  key: z.string(),
  value: z.string(),
  secret: z.boolean(),
  version: Version.describe('that gave it this value'),
  by: z.string(),
  at: Timestamp,
});

const Difference = z.object({
  key: z.string(),
  before: z.string().nullable(),
  after: z.string().nullable(),
});

/** Who changes settings or secrets has signed in within so many seconds. */
const recent = 300;

const Written = z.object({ version: Version });

export const ListPlaces = config.query('list-places', {
  description: 'Everything that settings are kept for, each with its newest version.',
  input: z.strictObject({}),
  output: z.object({
    items: z.array(
      z.object({
        ...{ application: z.string(), profile: z.string(), label: z.string() },
        ...{ version: Version, by: z.string(), at: Timestamp },
      }),
    ),
  }),
  http: 'GET /v1/ops/config',
  access: 'operator',
});

export const GetSettings = config.query('get-settings', {
  description: 'The settings that are kept for one application, profile and label. Secrets are masked.',
  input: z.strictObject(place),
  output: z.object({ version: VersionOrNone, items: z.array(Held) }),
  http: 'GET /v1/ops/config/{application}',
  access: 'operator',
});

export const ChangeSettings = config.command('change-settings', {
  description:
    'Makes a new version. The value null takes a setting away. What a running instance of the service does not have or would refuse is not set. With `version`, only where that is still the newest one (0: none yet). Asks for a recent sign-in.',
  input: z.strictObject({
    ...place,
    reason: Reason,
    version: VersionOrNone.optional(),
    settings: z
      .array(
        z.strictObject({
          key: SettingKey,
          value: sensitive(z.string().max(10_000)).nullable(),
          secret: z.boolean().optional().describe('as before where it is not said; at first, no'),
        }),
      )
      .min(1)
      .max(200),
  }),
  output: Written,
  rejections: {
    ...{ 'no-change': 409, 'version-changed': 409 },
    ...{ 'shared-secret': 422, 'unknown-service': 422, 'invalid-settings': 422 },
  },
  http: { route: 'POST /v1/ops/config/{application}/versions', status: 201, maxAuthAge: recent },
  access: 'operator',
});

export const ListVersions = config.query('list-versions', {
  description: 'Who changed what, when and why, newest first. Secrets are masked.',
  input: z.strictObject({ ...place, ...pageQuery }),
  output: createPageSchema(
    z.object({
      ...{ version: Version, by: z.string(), at: Timestamp, reason: z.string() },
      restores: Version.nullable().describe('the version that it went back to'),
      changes: z.array(Difference),
    }),
  ),
  rejections: { 'unknown-cursor': 400 },
  http: 'GET /v1/ops/config/{application}/versions',
  access: 'operator',
});

export const CompareVersions = config.query('compare-versions', {
  description: 'What differs between two versions. Secrets are masked; 0 is the beginning, with no settings.',
  input: z.strictObject({ ...place, from: VersionOrNone, to: VersionOrNone }),
  output: z.object({ changes: z.array(Difference) }),
  http: 'GET /v1/ops/config/{application}/diff',
  access: 'operator',
});

export const RollBack = config.command('roll-back', {
  description: 'Makes a new version with the settings of an older one. Asks for a recent sign-in.',
  input: z.strictObject({ ...place, to: Version, reason: Reason }),
  output: Written,
  rejections: { 'no-change': 409 },
  http: { route: 'POST /v1/ops/config/{application}/rollbacks', status: 201, maxAuthAge: recent },
  access: 'operator',
});

/** What an instance has made of a setting. */
const InForce = z.object({
  key: z.string(),
  value: z.string().nullable().describe('null: not set; masked where it is a secret'),
  origin: z.enum(['environment', 'file', 'config server', 'default']),
  live: z.boolean().describe('a change takes effect without a restart'),
  from: z.string().optional().describe('version and place, where the config server gave it, and by whom'),
  afterRestart: z.string().optional().describe('version and place of what a restart will bring'),
  refused: z.string().optional().describe('what the config server gives and is wrong, and why'),
});
export type InForce = z.infer<typeof InForce>;

const Report = z.object({
  instance: z.string(),
  settings: z.array(InForce),
  unknown: z.array(z.string()).describe('keys that are set for this service, and that it does not have'),
});

export const ExplainSettings = config.query('explain-settings', {
  description:
    'The settings in force in every running instance of a service, and where each came from. Secrets are masked.',
  input: z.strictObject({ application: ApplicationName }),
  output: z.object({ instances: z.array(Report) }),
  http: 'GET /v1/ops/config/{application}/in-force',
  access: 'operator',
});

export const ReadSettings = config.query('read-settings', {
  description:
    'What holds for a service, in the order of precedence. Secrets are encrypted with a key that is made of the password of this service.',
  input: z.strictObject({
    application: ApplicationName,
    profiles: z.array(ProfileName).min(1).max(20),
    label: Label,
  }),
  output: z.object({
    sources: z.array(
      z.object({
        application: z.string(),
        profile: z.string(),
        settings: z.array(Held.omit({ at: true })),
      }),
    ),
  }),
  rejections: { 'unknown-client': 404 },
});

export const SettingsChanged = config.event(
  'settings-changed',
  z.object({ application: z.string(), profile: z.string(), label: z.string(), version: Version }),
  { description: 'There is a new version of some settings: whoever uses them asks for them.' },
);

/** The instances of a service are to send what is in force in them, and what they would refuse. */
export const SettingsAsked = config.event(
  'settings-asked',
  z.object({
    ...{ ask: z.uuid(), application: z.string() },
    proposed: z
      .string()
      .optional()
      .describe('JSON of values by key, encrypted for the service as what is about this ask'),
  }),
  { description: 'The instances of a service are to send which settings are in force in them.' },
);

/** What instances send of their settings: soft state. Every service may send it; the config server alone receives it. */
const settings = service('settings');

/** The answer of one instance. */
export const SettingsTold = settings.event(
  'told',
  Report.extend({
    ask: z.uuid(),
    problems: z
      .array(z.object({ key: z.string(), problem: z.string() }))
      .optional()
      .describe('of what was proposed'),
  }),
);
