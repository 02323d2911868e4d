/** What every answer says to browsers. */
export const securityHeaders = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

/** For clients that came over TLS: for a year, come no other way. */
export const onlyTls = 'max-age=31536000; includeSubDomains';
