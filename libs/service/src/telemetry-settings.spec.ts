import { describe, expect, it } from '@jest/globals';
import { loadSettings, settings } from './settings.ts';
import { telemetryShape } from './telemetry-settings.ts';

const Telemetry = settings(telemetryShape);
const load = (text: string) =>
  loadSettings([Telemetry], { OTEL_EXPORTER_OTLP_HEADERS: text })[0].otelExporterOtlpHeaders;

describe('OTEL_EXPORTER_OTLP_HEADERS', () => {
  it.each([
    ['api-key=secret', { 'api-key': 'secret' }],
    [' a = 1 , authorization=Bearer%20x%3D,', { a: '1', authorization: 'Bearer x=' }],
    ['empty=', { empty: '' }],
  ])('%s', (text, headers) => expect(load(text)).toEqual(headers));

  it.each(['secret', '=secret', 'a b=secret', 'a=secret;b', 'a=secret%zz'])(
    'refuses %s, without its text',
    (text) => {
      expect(() => load(text)).toThrow('is not name=value, separated by commas');
      expect(() => load(text)).not.toThrow(/secret/);
    },
  );
});
