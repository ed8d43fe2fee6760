import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { HttpFaultProxy } from './http-fault-proxy.js';
import { LocalSqs } from './local-sqs.js';
import { uniqueName } from './unique-name.js';

/** One request of SQS's JSON protocol. */
async function ask(
  endpoint: string,
  action: string,
  body: object,
  ms = 5_000,
): Promise<{ status: number; text: string }> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': `AmazonSQS.${action}` },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(ms),
  });
  return { status: response.status, text: await response.text() };
}

describe('the HTTP fault proxy before a local SQS server', () => {
  let sqs: LocalSqs;
  let proxy: HttpFaultProxy;

  beforeAll(async () => {
    sqs = await LocalSqs.start();
    proxy = await HttpFaultProxy.start({ port: sqs.port });
  });

  afterEach(() => {
    proxy.clear();
  });

  afterAll(async () => {
    await proxy.stop();
    await sqs.stop();
  });

  function queue(attributes: Readonly<Record<string, string>> = {}): string {
    const name = `${uniqueName('q')}.fifo`;
    sqs.createQueue(name, attributes);
    return name;
  }

  function batch(name: string, ...bodies: readonly string[]): object {
    return {
      QueueUrl: sqs.urlOf(name),
      Entries: bodies.map((MessageBody, index) => ({
        Id: String(index),
        MessageBody,
        MessageGroupId: MessageBody,
        MessageDeduplicationId: MessageBody,
      })),
    };
  }

  it('passes on what it is not told to harm', async () => {
    const name = queue();
    const before = proxy.countOf('SendMessageBatch');
    const { status, text } = await ask(proxy.endpoint, 'SendMessageBatch', batch(name, 'a', 'b'));
    expect(status).toBe(200);
    expect(text).toContain('"Id":"1"');
    expect(sqs.contentOf(name)).toEqual({ ready: ['a', 'b'], inFlight: 0 });
    expect(proxy.countOf('SendMessageBatch')).toBe(before + 1);
  });

  it('fails the chosen entries of a batch, stored or not', async () => {
    const name = queue();
    proxy.set({
      kind: 'fail_entries',
      failureOf: ({ body }) =>
        body === 'b' ? null : { code: 'InternalError', isSenderFault: false, isStored: body === 'c' },
    });
    const { text } = await ask(proxy.endpoint, 'SendMessageBatch', batch(name, 'a', 'b', 'c'));
    const answer = JSON.parse(text) as { Successful: { Id: string }[]; Failed: { Id: string; Code: string }[] };
    expect(answer.Successful.map(({ Id }) => Id)).toEqual(['1']);
    expect(answer.Failed).toEqual([
      { Id: '0', Code: 'InternalError', SenderFault: false },
      { Id: '2', Code: 'InternalError', SenderFault: false },
    ]);
    expect(sqs.contentOf(name).ready).toEqual(['b', 'c']);
  });

  it('answers in the place of the server', async () => {
    const name = queue();
    proxy.set({ kind: 'answer', status: 400, code: 'RequestThrottled' });
    const { status, text } = await ask(proxy.endpoint, 'SendMessageBatch', batch(name, 'a'));
    expect([status, text]).toEqual([400, expect.stringContaining('com.amazonaws.sqs#RequestThrottled')]);
    expect(sqs.contentOf(name).ready).toEqual([]);
  });

  it('cuts a connection before the server, and loses its reply behind it', async () => {
    const name = queue();
    proxy.set(({ body }) => (body.includes('"first"') ? { kind: 'cut' } : { kind: 'lose_reply' }));
    await expect(ask(proxy.endpoint, 'SendMessageBatch', batch(name, 'first'))).rejects.toThrow();
    await expect(ask(proxy.endpoint, 'SendMessageBatch', batch(name, 'second'))).rejects.toThrow();
    expect(sqs.contentOf(name).ready).toEqual(['second']);
  });

  it('swallows a reply and keeps the connection', async () => {
    const name = queue();
    proxy.set({ kind: 'swallow_reply' });
    await expect(ask(proxy.endpoint, 'SendMessageBatch', batch(name, 'a'), 300)).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    expect(sqs.contentOf(name).ready).toEqual(['a']);
  });

  it('passes on late', async () => {
    const name = queue();
    proxy.set({ kind: 'delay', ms: 200 });
    const startedMs = performance.now();
    await ask(proxy.endpoint, 'SendMessageBatch', batch(name, 'a'));
    expect(performance.now() - startedMs).toBeGreaterThan(190);
    expect(sqs.contentOf(name).ready).toEqual(['a']);
  });

  it('stands before a server that locks groups, deduplicates and can be emptied', async () => {
    const name = queue();
    await ask(sqs.endpoint, 'SendMessageBatch', batch(name, 'a'));
    await ask(sqs.endpoint, 'SendMessageBatch', batch(name, 'a'));
    expect(sqs.contentOf(name)).toEqual({ ready: ['a'], inFlight: 0 });
    await ask(proxy.endpoint, 'ReceiveMessage', { QueueUrl: sqs.urlOf(name) });
    expect(sqs.contentOf(name)).toEqual({ ready: [], inFlight: 1 });
    sqs.purge();
    expect(sqs.contentOf(name)).toEqual({ ready: [], inFlight: 0 });
    sqs.deleteQueue(name);
    expect(() => sqs.contentOf(name)).toThrow(`no queue ${name}`);
  });
});
