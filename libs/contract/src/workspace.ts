import { z } from 'zod';
import { DeclaredRole, Language } from './vocabulary.ts';

/** `METHOD /path`, as in a contract. */
export const RouteName = z
  .string()
  .regex(/^(GET|POST|PUT|PATCH|DELETE) \/\S*$/, 'must look like POST /v1/things');

/** The environment that needs no declaration: the store of `npm start` on the same machine. */
export const localEnvironment = 'local';

const environmentFields = {
  /**
   * The address of its gateway, for a session of an operator: JOGAKBO_OPERATOR_EMAIL and JOGAKBO_OPERATOR_PASSWORD. Without
   * it a deployment splits no calls, and compares no contracts with the running versions.
   */
  url: z.url({ protocol: /^https?$/ }).optional(),
};

/** Where `jogakbo deploy --environment <name>` deploys to. */
export const DeclaredEnvironment = z.discriminatedUnion('engine', [
  z.strictObject({
    engine: z.literal('docker'),
    ...environmentFields,
    /** A context of the Docker command line, such as one for another machine. By default its current one. */
    context: z.string().min(1).optional(),
    /** The name of the Compose project. By default that of the workspace. */
    project: z.string().min(1).optional(),
  }),
  z.strictObject({
    engine: z.literal('kubernetes'),
    ...environmentFields,
    /** A context of the kubeconfig. By default its current one. */
    context: z.string().min(1).optional(),
    /** The namespace that the overlay sets. By default the name of the workspace. */
    namespace: z.string().min(1).optional(),
    /** The folder in deploy/kubernetes/overlays. */
    overlay: z.string().min(1),
    /** Where the images are: `<registry>/<service>:<version>`. */
    registry: z.string().regex(/[^/]$/, 'must not end with /'),
  }),
]);
export type DeclaredEnvironment = z.infer<typeof DeclaredEnvironment>;

/** A record of zod would not say what is wrong with a key. */
function findNameProblem(name: string): string | undefined {
  if (name === localEnvironment) return 'is reserved for the store on the same machine';
  return /^[a-z][a-z0-9-]*$/.test(name) ? undefined : 'must be in kebab-case';
}

/** Facts that concern several services: `jogakbo.config.ts` at the root of the workspace. It is part of no build. */
export const WorkspaceConfig = z
  .strictObject({
    name: z.string().min(1),
    /** The name for people: of the API's documents and its home page. By default `name`. */
    title: z.string().min(1).optional(),
    /** Roles of members, in addition to `member` and `operator`. Contracts use them as access policies. */
    roles: z.array(DeclaredRole).default([]),
    /** Languages of texts for members. The first one is used if a client accepts none of them. */
    languages: z.array(Language).min(1),
    /** The gateway is ready when it serves these routes. */
    readyRoutes: z.array(RouteName).default([]),
    /** The roles for which `npm start` creates an account each. */
    localStaff: z.array(z.string()).default(['operator']),
    /**
     * How teams are called on GitHub or GitLab, for `jogakbo owners`: `prefix` and the owner of a service. The team `others`
     * owns all files that belong to no service.
     */
    codeOwners: z
      .strictObject({
        prefix: z.string().regex(/^@/, 'must begin with @, such as @my-company/'),
        others: z.string().min(1),
      })
      .optional(),
    /** The environments of `jogakbo deploy`, by name, besides `local`. */
    environments: z.record(z.string(), DeclaredEnvironment).default({}),
    /** The environment whose plan `jogakbo ci pull-request` shows: what a deployment of the change would do there. */
    pullRequestEnvironment: z.string().optional(),
    /** Path of the module that fills a new store with data: see `SeedModule` in tools/cli. */
    seed: z.string().optional(),
    /** Path of the module with the workload and the rules of chaos: see `ChaosModule` in tools/chaos. */
    chaos: z.string().optional(),
    /** Path of the module with the load for measurements: see `LoadModule` in tools/bench. */
    load: z.string().optional(),
  })
  .superRefine(({ roles, localStaff, environments, pullRequestEnvironment: environment }, context) => {
    for (const name of Object.keys(environments)) {
      const message = findNameProblem(name);
      if (message) context.addIssue({ code: 'custom', path: ['environments', name], message });
    }
    if (environment !== undefined && environment !== localEnvironment && !(environment in environments))
      context.addIssue({
        code: 'custom',
        path: ['pullRequestEnvironment'],
        message: `${environment} is none of the environments ${[localEnvironment, ...Object.keys(environments)].join(', ')}`,
      });
    const known = [...roles, 'operator'];
    for (const [index, role] of localStaff.entries())
      if (!known.includes(role))
        context.addIssue({
          code: 'custom',
          path: ['localStaff', index],
          message: `${role} is none of the roles ${known.join(', ')}`,
        });
  });
/** What `jogakbo.config.ts` exports: `export default { … } satisfies WorkspaceConfigInput`. */
export type WorkspaceConfigInput = z.input<typeof WorkspaceConfig>;
export type WorkspaceConfig = z.infer<typeof WorkspaceConfig>;

/**
 * Reads and checks `jogakbo.config.ts`.
 * @param workspace absolute path of the workspace
 * @throws Error with one line per problem
 */
export async function readWorkspaceConfig(workspace: string): Promise<WorkspaceConfig> {
  const file = `${workspace}/jogakbo.config.ts`;
  const { default: exported } = (await import(new URL(`file://${file}`).href)) as { default: unknown };
  return parseOrThrow(WorkspaceConfig, exported, file);
}

const SettingName = z.string().regex(/^[A-Z][A-Z0-9_]*$/, 'must be the name of an environment variable');

/** Settings whose values the launcher and the compose file derive from facts of the workspace. */
export const providedSettings = [
  'TOKEN_ISSUER',
  'TITLE',
  'LANGUAGES',
  'ROLES',
  'READY_ROUTES',
  'DENIED_UPSTREAMS',
] as const;
export type ProvidedSetting = (typeof providedSettings)[number];

/**
 * A destination of connections, in addition to the broker and the own database: a service of this workspace that is called
 * over HTTP, or ports of hosts outside. NetworkPolicies permit nothing else.
 */
const Egress = z.union([
  z.strictObject({ service: z.string().min(1) }),
  z.strictObject({
    /** The name of the destination for people. */
    to: z.string().min(1),
    ports: z.array(z.int().min(1).max(65_535)).min(1),
    /** The network of its addresses. By default all public addresses. */
    cidr: z.union([z.cidrv4(), z.cidrv6()]).optional(),
  }),
]);

/** What an app declares about itself: the field `jogakbo` of its package.json. */
export const AppManifest = z.strictObject({
  /** The owning team. */
  owner: z.string().min(1),
  /** Servers that it connects to, besides RabbitMQ and PostgreSQL. */
  uses: z.array(z.string()).default([]),
  /** Whether it has a database of its own. */
  database: z.boolean().default(false),
  /** The most memory that its process may use, in megabytes (proportional set size): the footprint benchmark checks it. */
  memory: z.int().min(1).optional(),
  /** Limits of Node's heap in megabytes: a semi-space of the young generation, and the old generation. */
  heap: z.strictObject({ young: z.int().min(1).default(4), old: z.int().min(32).default(128) }).prefault({}),
  /** The preferred port on this machine, which stays the same between starts. Without it, any free port is used. */
  port: z.int().min(1).max(65_535).optional(),
  /** Destinations of its connections, besides the broker and its database. */
  egress: z.array(Egress).default([]),
  /** Whether an orchestrator may stop all instances while no message waits. Not for a service that answers queries. */
  scaleToZero: z.boolean().default(false),
  /** Settings that it gets from the facts of the workspace. */
  settings: z.array(z.enum(providedSettings)).default([]),
  /** Settings that no other service gets, by value or as `NAME_FILE`. */
  secrets: z.array(SettingName).default([]),
  /** Additions to the compose file. */
  compose: z
    .strictObject({
      /** A comment at the head of the file: what people need at the first start, such as an address. */
      head: z.string().optional(),
      /** A comment for people who set `environment` and `secrets`. */
      note: z.string().optional(),
      /** Further settings, with Compose's interpolation. */
      environment: z.record(SettingName, z.string()).default({}),
      /** Secrets that people set in .env, with their defaults. An empty one is not passed on. */
      secrets: z.record(SettingName, z.string()).default({}),
      /** Containers of servers that it uses. */
      containers: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
    })
    .prefault({}),
});
export type AppManifest = z.infer<typeof AppManifest>;

/**
 * Parses the field `jogakbo` of a package.json.
 * @param file its path, for the error @throws Error with one line per problem
 */
export const parseAppManifest = (field: unknown, file: string): AppManifest =>
  parseOrThrow(AppManifest, field ?? {}, `${file}: "jogakbo"`);

function parseOrThrow<T extends z.ZodType>(schema: T, value: unknown, where: string): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${where}: ${path.join('.')}: ${message}`);
  throw new Error(problems.join('\n'));
}
