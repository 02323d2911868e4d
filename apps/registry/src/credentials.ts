import { createHash, timingSafeEqual } from 'node:crypto';
import type { Registration } from '@jogakbo/contracts-registry';
import { readBasicCredentials } from '@jogakbo/service/basic-credentials';
import {
  ForbiddenException,
  Injectable,
  ServiceUnavailableException,
  UnauthorizedException,
} from '@nestjs/common';
import { DataSource } from 'typeorm';

/** The credential of an app, with its permitted routes and networks. Only a hash of the secret is stored. */
export interface Credential extends Registration {
  secretHash: string;
}

/** The columns of the table `registration`, as fields of Credential. */
export const credentialColumns = `app, secret_hash AS "secretHash", routes, networks, changed_by AS "changedBy",
  changed_at AS "changedAt"`;

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();
/** Compared for unknown apps, to keep the response time constant. */
const dummyHash = sha256('').toString('hex');

/** The credentials of external apps, one per app. */
@Injectable()
export class Credentials {
  /** Fallback while the database is unreachable. */
  readonly #lastRead = new Map<string, Credential>();

  constructor(private readonly dataSource: DataSource) {}

  /**
   * Authenticates a request.
   * @param authorization HTTP Basic: the name of the app and its secret
   * @param app the app of the request, which must match the credential
   * @throws HttpException
   */
  async authorize(authorization: string | undefined, app: string): Promise<Credential> {
    const { name = '', password: secret = '' } = readBasicCredentials(authorization) ?? {};
    const credential = await this.#read(name.toLowerCase());
    const expected = Buffer.from(credential?.secretHash ?? dummyHash, 'hex');
    if (!timingSafeEqual(sha256(secret), expected) || !credential) {
      throw new UnauthorizedException(
        'missing or wrong credential: use http://<app>:<secret>@<registry>/eureka; jogakbo registration add creates a secret',
      );
    }
    if (credential.app !== app.toLowerCase()) {
      throw new ForbiddenException(`the credential of ${credential.app} is not valid for ${app}`);
    }
    return credential;
  }

  async #read(app: string): Promise<Credential | undefined> {
    if (!app) return undefined;
    try {
      const [row] = (await this.dataSource.query(
        `SELECT ${credentialColumns} FROM registration WHERE app = $1`,
        [app],
      )) as (Credential | undefined)[];
      if (row) this.#lastRead.set(app, row);
      else this.#lastRead.delete(app);
    } catch {
      if (!this.#lastRead.has(app)) throw new ServiceUnavailableException('cannot read credentials now');
    }
    return this.#lastRead.get(app);
  }
}

/** Removes the secret hash. */
export const toRegistration = ({
  app,
  routes,
  networks,
  changedBy,
  changedAt,
}: Credential): Registration => ({
  app,
  routes,
  networks,
  changedBy,
  changedAt: new Date(changedAt).toISOString(),
});
