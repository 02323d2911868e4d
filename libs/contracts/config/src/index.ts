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
  'Settings and secrets of the services, with the history of every change: who, when, why, and the old value.',
);

/** Replaces the value of a secret in answers. */
export const secretMask = '******';
/** The application whose settings apply to all services. */
export const sharedApplication = 'application';

const ApplicationName = z
  .string()
  .max(60)
  .regex(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/, 'must contain only lower case letters, digits and single dashes');
const ProfileName = z
  .string()
  .max(60)
  .regex(/^[a-zA-Z0-9][\w-]*$/, 'must contain only letters, digits, dashes and underscores');
const Label = z
  .string()
  .max(100)
  .regex(/^[a-zA-Z0-9][\w./-]*$/, 'must contain only letters, digits, dots, slashes, dashes and underscores');
/** `logLevel`, `retry.attempts`, `hosts[0]`. */
const SettingKey = z
  .string()
  .max(200)
  .regex(
    /^[a-zA-Z][\w-]*(\.[a-zA-Z0-9][\w-]*|\[\d{1,4}\])*$/,
    'must be words separated by dots, with [0] for an item of a list',
  );
const Reason = lineOfText(500);
/** 0: before the first version, without settings. */
const VersionOrNone = z.int().min(0).max(Version.maxValue!);

/** The key of a set of settings: application, profile and label. The profile `default` always applies. */
const place = {
  application: ApplicationName,
  profile: ProfileName.default('default'),
  label: Label.default('main'),
};

/** A stored value. Secrets are masked as `******`. */
const StoredSetting = z.object({
  key: z.string(),
  value: z.string(),
  secret: z.boolean(),
  version: Version.describe('the version that set this value'),
  by: z.string(),
  at: Timestamp,
});

const Difference = z.object({
  key: z.string(),
  before: z.string().nullable(),
  after: z.string().nullable(),
});

/** Maximum seconds since the sign-in, for changes of settings and secrets. */
const recentSignInSeconds = 300;

const Written = z.object({ version: Version });

export const ListPlaces = config.query('list-places', {
  description: 'All applications, profiles and labels with settings, each with its newest version.',
  input: z.strictObject({}),
  output: z.object({
    items: z.array(
      z.object({
        application: z.string(),
        profile: z.string(),
        label: z.string(),
        version: Version,
        by: z.string(),
        at: Timestamp,
      }),
    ),
  }),
  http: 'GET /v1/ops/config',
  access: 'operator',
});

export const GetSettings = config.query('get-settings', {
  description: 'The stored settings of one application, profile and label. Secrets are masked.',
  input: z.strictObject(place),
  output: z.object({ version: VersionOrNone, items: z.array(StoredSetting) }),
  http: 'GET /v1/ops/config/{application}',
  access: 'operator',
});

export const ChangeSettings = config.command('change-settings', {
  description:
    'Creates a new version. The value null removes a setting. Settings that a running instance of the service does not know or would reject are not accepted. With `version`, succeeds only if that is still the newest version (0: none yet). Requires a recent sign-in.',
  input: z.strictObject({
    ...place,
    reason: Reason,
    version: VersionOrNone.optional(),
    settings: z
      .array(
        z.strictObject({
          key: SettingKey,
          value: sensitive(z.string().max(10_000)).nullable(),
          secret: z.boolean().optional().describe('default: unchanged; false for a new setting'),
        }),
      )
      .min(1)
      .max(200),
  }),
  output: Written,
  rejections: {
    'no-change': 409,
    'version-changed': 409,
    'shared-secret': 422,
    'unknown-service': 422,
    'invalid-settings': 422,
  },
  http: { route: 'POST /v1/ops/config/{application}/versions', status: 201, maxAuthAge: recentSignInSeconds },
  access: 'operator',
});

export const ListVersions = config.query('list-versions', {
  description: 'All changes, newest first: who, when and why. Secrets are masked.',
  input: z.strictObject({ ...place, ...pageQuery }),
  output: createPageSchema(
    z.object({
      version: Version,
      by: z.string(),
      at: Timestamp,
      reason: z.string(),
      restores: Version.nullable().describe('the version that was restored'),
      changes: z.array(Difference),
    }),
  ),
  rejections: { 'unknown-cursor': 400 },
  http: 'GET /v1/ops/config/{application}/versions',
  access: 'operator',
});

export const CompareVersions = config.query('compare-versions', {
  description:
    'The differences between two versions. Secrets are masked. 0: before the first version, without settings.',
  input: z.strictObject({ ...place, from: VersionOrNone, to: VersionOrNone }),
  output: z.object({ changes: z.array(Difference) }),
  http: 'GET /v1/ops/config/{application}/diff',
  access: 'operator',
});

export const RollBack = config.command('roll-back', {
  description: 'Creates a new version with the settings of an older one. Requires a recent sign-in.',
  input: z.strictObject({ ...place, to: Version, reason: Reason }),
  output: Written,
  rejections: { 'no-change': 409 },
  http: {
    route: 'POST /v1/ops/config/{application}/rollbacks',
    status: 201,
    maxAuthAge: recentSignInSeconds,
  },
  access: 'operator',
});

/** The effective value of a setting in an instance. */
const InForce = z.object({
  key: z.string(),
  value: z.string().nullable().describe('null: not set; secrets are masked'),
  origin: z.enum(['environment', 'file', 'config server', 'default']),
  live: z.boolean().describe('a change takes effect without a restart'),
  from: z.string().optional().describe('for values of the config server: version, place and author'),
  afterRestart: z.string().optional().describe('version and place of the value after a restart'),
  refused: z.string().optional().describe('an invalid value of the config server, and the reason'),
});
export type InForce = z.infer<typeof InForce>;

const Report = z.object({
  instance: z.string(),
  settings: z.array(InForce),
  unknown: z.array(z.string()).describe('keys that are set for this service, but unknown to it'),
});

export const ExplainSettings = config.query('explain-settings', {
  description:
    'The effective settings of every running instance of a service, with their origins. Secrets are masked.',
  input: z.strictObject({ application: ApplicationName }),
  output: z.object({ instances: z.array(Report) }),
  http: 'GET /v1/ops/config/{application}/in-force',
  access: 'operator',
});

export const ReadSettings = config.query('read-settings', {
  description:
    'The settings of a service, in order of precedence. Secrets are encrypted with a key derived from the password of this service.',
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
        settings: z.array(StoredSetting.omit({ at: true })),
      }),
    ),
  }),
  rejections: { 'unknown-client': 404 },
});

export const SettingsChanged = config.event(
  'settings-changed',
  z.object({ application: z.string(), profile: z.string(), label: z.string(), version: Version }),
  { description: 'A new version of some settings exists: services that use them read them again.' },
);

/** Asks the instances of a service for their effective settings and their problems with proposed values. */
export const SettingsRequested = config.event(
  'settings-asked',
  z.object({
    ask: z.uuid(),
    application: z.string(),
    proposed: z
      .string()
      .optional()
      .describe('JSON of values by key, encrypted for the service and bound to this ask'),
  }),
  { description: 'Requests the effective settings of all instances of a service.' },
);

/** Reports of instances about their settings: soft state. Every service may send them; only the config server receives them. */
const settings = service('settings');

/** The answer of one instance. */
export const SettingsReported = settings.event(
  'told',
  Report.extend({
    ask: z.uuid(),
    problems: z
      .array(z.object({ key: z.string(), problem: z.string() }))
      .optional()
      .describe('problems with the proposed values'),
  }),
);
