const policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Content-Security-Policy for responses of external services: an opaque origin, and no scripts. */
export const externalPolicy = `${policy}; sandbox`;

/** Headers of every response. */
export const securityHeaders = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': policy,
};

/** HSTS, sent to clients that use TLS. The maximum age is one year. */
export const strictTransportSecurity = 'max-age=31536000; includeSubDomains';
