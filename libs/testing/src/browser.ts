/** A minimal browser for sign-in: stores cookies by path, follows redirects within its origin, submits forms. */
export class Browser {
  readonly #cookies = new Map<string, { value: string; path: string }>();

  constructor(
    private readonly origin: string,
    private readonly language = '*',
  ) {}

  /** Returns the final page, or the first redirect to another origin. */
  async open(
    address: string,
    form?: Record<string, string>,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; headers: Headers; text: string; url: URL }> {
    let url = new URL(address, this.origin);
    let body = form && new URLSearchParams(form);
    for (let step = 0; step < 10; step++) {
      const response = await fetch(url, {
        ...(body && { method: 'POST', body }),
        redirect: 'manual',
        headers: {
          'accept-language': this.language,
          cookie: this.#getCookieHeader(url.pathname),
          ...(body && { origin: this.origin }),
          ...headers,
        },
      });
      for (const cookie of response.headers.getSetCookie()) this.#storeCookie(cookie);
      const location = response.headers.get('location');
      if (!location) {
        return { status: response.status, headers: response.headers, text: await response.text(), url };
      }
      url = new URL(location, url);
      body = undefined;
      if (url.origin !== this.origin) {
        return { status: response.status, headers: response.headers, text: '', url };
      }
    }
    throw new Error(`${address} redirects more than 10 times`);
  }

  #storeCookie(cookie: string): void {
    const [pair = '', ...attributes] = cookie.split('; ');
    const at = pair.indexOf('=');
    const value = pair.slice(at + 1);
    const path = attributes.find((one) => /^path=/i.test(one))?.slice(5) ?? '/';
    if (value) this.#cookies.set(pair.slice(0, at), { value, path });
    else this.#cookies.delete(pair.slice(0, at));
  }

  /** The values of all cookies. */
  get cookieValues(): string[] {
    return [...this.#cookies.values()].map(({ value }) => value);
  }

  #getCookieHeader(path: string): string {
    return [...this.#cookies]
      .filter(([, cookie]) => path.startsWith(cookie.path))
      .map(([name, { value }]) => `${name}=${value}`)
      .join('; ');
  }
}

/** The target URL of the page's form. */
export const getAction = (html: string): string => /<form method="post" action="([^"]+)"/.exec(html)![1]!;
