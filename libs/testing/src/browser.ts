/** Enough of a browser for signing in: keeps cookies by path, follows redirects as long as they stay, submits forms. */
export class Browser {
  readonly #cookies = new Map<string, { value: string; path: string }>();

  constructor(
    private readonly origin: string,
    private readonly language = 'ko',
  ) {}

  /** Gives the page that it ends at, or the address outside that it was sent to. */
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
          cookie: this.#cookiesFor(url.pathname),
          ...(body && { origin: this.origin }),
          ...headers,
        },
      });
      for (const cookie of response.headers.getSetCookie()) this.#keep(cookie);
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
    throw new Error('too many redirects');
  }

  #keep(cookie: string): void {
    const [pair = '', ...attributes] = cookie.split('; ');
    const at = pair.indexOf('=');
    const value = pair.slice(at + 1);
    const path = attributes.find((one) => /^path=/i.test(one))?.slice(5) ?? '/';
    if (value) this.#cookies.set(pair.slice(0, at), { value, path });
    else this.#cookies.delete(pair.slice(0, at));
  }

  /** What its cookies hold. */
  get cookieValues(): string[] {
    return [...this.#cookies.values()].map(({ value }) => value);
  }

  #cookiesFor(path: string): string {
    return [...this.#cookies]
      .filter(([, cookie]) => path.startsWith(cookie.path))
      .map(([name, { value }]) => `${name}=${value}`)
      .join('; ');
  }
}

/** Where the page's form leads. */
export const getAction = (html: string): string => /<form method="post" action="([^"]+)"/.exec(html)![1]!;
