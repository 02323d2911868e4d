import { validateHeaderValue } from 'node:http';
import { z } from 'zod';
import { environmentOnly, secret } from './setting-marks.ts';

/** Reads the form of OTEL_EXPORTER_OTLP_HEADERS. @returns undefined for another form */
function parseHeaders(text: string): Record<string, string> | undefined {
  const headers: Record<string, string> = {};
  for (const pair of text.split(',').filter((one) => one.trim())) {
    const [, name, value] = /^\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*([^\s,;]*)\s*$/.exec(pair) ?? [];
    if (!name) return undefined;
    try {
      headers[name] = decodeURIComponent(value!);
      validateHeaderValue(name, headers[name]);
    } catch {
      return undefined;
    }
  }
  return headers;
}

/** Named as OpenTelemetry's specification names its environment variables. */
export const telemetryShape = {
  otelExporterOtlpEndpoint: environmentOnly(
    z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe('base URL of a collector that takes OTLP over HTTP; without it nothing is exported'),
  ),
  otelExporterOtlpHeaders: environmentOnly(
    secret(
      z
        .string()
        .transform(
          (text, context) => parseHeaders(text) ?? context.addIssue('is not name=value, separated by commas'),
        )
        .pipe(z.record(z.string(), z.string()))
        .optional()
        .describe('headers for the collector: name=value, separated by commas; values are percent-encoded'),
    ),
  ),
  otelMetricExportInterval: environmentOnly(
    z.coerce
      .number()
      .int()
      .min(100)
      // More is too long for a timer.
      .max(2_147_483_647)
      .default(10_000)
      .describe('milliseconds between exports of metrics to the collector'),
  ),
};
