const policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The policy of answers of services outside: what is in them gets an origin of its own, and runs nothing. */
export const foreignPolicy = `${policy}; sandbox`;

/** What every answer says to browsers. */
export const securityHeaders = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': policy,
};

/** For clients that came over TLS: for a year, come no other way. */
export const onlyTls = 'max-age=31536000; includeSubDomains';
