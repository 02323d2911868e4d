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

/** With what an app registers, and what it may then register. Its secret is kept as a hash only. */
export interface Credential extends Registration {
  secretHash: string;
}

/** The columns of the table `registration`, under their names here. */
export const credentialColumns = `app, secret_hash AS "secretHash", routes, networks, changed_by AS "changedBy",
  changed_at AS "changedAt"`;

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();
/** Of an app that does not exist: comparing takes the same time. */
const nothing = sha256('').toString('hex');

/** One credential for each app that is not on the bus. */
@Injectable()
export class Credentials {
  /** As last read, for the time in which the database is away. */
  readonly #lastRead = new Map<string, Credential>();

  constructor(private readonly dataSource: DataSource) {}

  /**
   * The credential with which a request comes.
   * @param authorization HTTP Basic: the name of the app and its secret
   * @param app the app that the request is about; no other app's credential is accepted
   * @throws HttpException
   */
  async authorize(authorization: string | undefined, app: string): Promise<Credential> {
    const { name = '', password: secret = '' } = readBasicCredentials(authorization) ?? {};
    const credential = await this.#read(name.toLowerCase());
    const expected = Buffer.from(credential?.secretHash ?? nothing, 'hex');
    if (!timingSafeEqual(sha256(secret), expected) || !credential) {
      throw new UnauthorizedException(
        'register with a credential: http://<app>:<secret>@<registry>/eureka; jogakbo registration add makes one',
      );
    }
    if (credential.app !== app.toLowerCase()) {
      throw new ForbiddenException(`the credential of ${credential.app} is not one of ${app}`);
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
      if (!this.#lastRead.has(app)) throw new ServiceUnavailableException('credentials cannot be read now');
    }
    return this.#lastRead.get(app);
  }
}

/** What of a credential is shown. */
export const toRegistration = ({
  app,
  routes,
  networks,
  changedBy,
  changedAt,
}: Credential): Registration => ({
  ...{ app, routes, networks, changedBy },
  changedAt: new Date(changedAt).toISOString(),
});
