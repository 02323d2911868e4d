import { expect, it } from '@jest/globals';
import { toBasic, type EurekaUnderTest } from './eureka-under-test.ts';

export function testFormats(api: EurekaUnderTest): void {
  const { eureka, hellos } = api;

  it('accepts only UTF-8', async () => {
    const send = (body: Buffer, type: string) =>
      fetch(`${api.registry.url}/eureka/apps/HELLO`, {
        method: 'POST',
        headers: { authorization: toBasic('hello'), 'content-type': type },
        body: new Uint8Array(body),
      }).then(({ status }) => status);
    const xml = (note: Buffer, declared = '') =>
      Buffer.concat([
        Buffer.from(`<?xml version="1.0"${declared}?><instance><note>`),
        note,
        Buffer.from('</note></instance>'),
      ]);
    const eucKr = Buffer.from([0xc7, 0xd1]);
    expect(await send(xml(eucKr), 'application/xml')).toBe(400);
    expect(await send(xml(Buffer.from('x'), ' encoding="EUC-KR"'), 'text/xml')).toBe(415);
    expect(await send(xml(Buffer.from('x')), 'text/xml; charset=euc-kr')).toBe(415);
    const json = Buffer.concat([Buffer.from('{"instance":"'), eucKr, Buffer.from('"}')]);
    expect(await send(json, 'application/json')).toBe(400);
    expect(await send(Buffer.from('{}'), 'application/json; charset=euc-kr')).toBe(415);
    expect((await fetch(`${api.registry.url}/eureka/apps/%c7%d1`)).status).toBe(400);
    const metadata = `${api.registry.url}/eureka/apps/HELLO/hello-1/metadata?note=%c7%d1`;
    expect(
      (await fetch(metadata, { method: 'PUT', headers: { authorization: toBasic('hello') } })).status,
    ).toBe(400);
  });

  it('accepts media types with the suffix of JSON or XML, and no others', async () => {
    const json = JSON.stringify(api.registration());
    const xml = '<instance><hostName>localhost</hostName><app>HELLO</app><port>8081</port></instance>';
    const send = (type: string, body: string) =>
      fetch(`${api.registry.url}/eureka/apps/HELLO`, {
        method: 'POST',
        headers: { authorization: toBasic('hello'), 'content-type': type },
        body,
      }).then(({ status }) => status);
    for (const type of ['application/vnd.eureka+json', 'Application/VND.eureka.v1+JSON; charset=utf-8'])
      expect({ type, status: await send(type, json) }).toEqual({ type, status: 204 });
    for (const type of ['application/vnd.eureka+xml', 'application/xml;charset=UTF-8', 'text/xml'])
      expect({ type, status: await send(type, xml) }).toEqual({ type, status: 204 });
    for (const type of ['application/jsonp', 'application/json-seq', 'text/html+xmlish'])
      expect({ type, status: await send(type, json) }).toEqual({ type, status: 415 });
  });

  it('supports XML', async () => {
    const body = `<?xml version="1.0"?><instance><instanceId>hello-x</instanceId><hostName>localhost</hostName>
      <app>HELLO</app><ipAddr>127.0.0.1</ipAddr><status>UP</status><port enabled="true">8081</port>
      <securePort enabled="false">443</securePort>
      <dataCenterInfo class="com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo"><name>MyOwn</name></dataCenterInfo>
      <leaseInfo><renewalIntervalInSecs>30</renewalIntervalInSecs><durationInSecs>90</durationInSecs></leaseInfo>
      <metadata><routes>GET /v1/hello</routes><access>public</access><note>a &lt; b &amp; c</note></metadata></instance>`;
    expect(await eureka('POST', '/apps/HELLO', { body })).toMatchObject({ status: 204 });
    expect(await hellos()).toMatchObject([{ url: 'http://127.0.0.1:8081' }]);
    // XML is the default without an Accept header, as in Eureka.
    for (const accept of ['', 'application/xml', '*/*', 'application/json;q=0.1, application/xml']) {
      const { text } = await eureka('GET', '/apps/HELLO', { accept });
      expect(text).toContain('<name>HELLO</name>');
      expect(text).toContain('<port enabled="true">8081</port>');
      expect(text).toContain('<note>a &lt; b &amp; c</note>');
    }
    for (const accept of ['application/json', 'application/xml;q=0.5, application/json']) {
      expect((await eureka('GET', '/apps/HELLO', { accept })).json).toHaveProperty('application');
    }
  });
}
