import { describe, expect, it } from '@jest/globals';
import { createSqsSink } from './create-sqs-sink.js';
import { createSqsSubscription } from './create-sqs-subscription.js';
import { areFifoQueues, endpointOf, problemOfQueueUrl, queueUrlOf, regionOf } from './sqs-config.js';
import { queueOf } from './sqs-queue.js';

const ROOT = 'https://sqs.eu-west-1.amazonaws.com/123456789012';

describe('the queue of a topic', () => {
  it('is made of the template, with what no name may have replaced', () => {
    expect(queueUrlOf(`${ROOT}/inventory-{topic}.fifo`, 'outbox.event.order')).toBe(
      `${ROOT}/inventory-outbox-event-order.fifo`,
    );
    expect(queueUrlOf(`${ROOT}/inventory.fifo`, 'any')).toBe(`${ROOT}/inventory.fifo`);
    expect(queueUrlOf({ orders: `${ROOT}/o` }, 'orders')).toBe(`${ROOT}/o`);
  });

  it('is asked for when there is none, and when its name is too long', () => {
    expect(() => queueUrlOf({}, 'orders')).toThrow('No queue is given for topic orders');
    expect(() => queueUrlOf(`${ROOT}/{topic}`, 'x'.repeat(81))).toThrow('at most 80 letters');
  });

  it('is refused where no request could go', () => {
    for (const url of ['queue', 'ftp://h/1/q', 'https://h/1/a b', 'https://h/1/', 'https://u@h/1/q']) {
      expect(problemOfQueueUrl(url)).not.toBeNull();
    }
    expect(problemOfQueueUrl(`${ROOT}/a-{topic}.fifo`)).toBeNull();
  });
});

describe('the settings of SQS', () => {
  it('are of one kind of queue', () => {
    expect(areFifoQueues({ a: `${ROOT}/a.fifo`, b: `${ROOT}/b.fifo` })).toBe(true);
    expect(areFifoQueues(`${ROOT}/a`)).toBe(false);
    expect(() => areFifoQueues({ a: `${ROOT}/a.fifo`, b: `${ROOT}/b` })).toThrow('either FIFO queues or standard');
    expect(() => areFifoQueues({})).toThrow('at least one queue');
  });

  it('ask for an endpoint where the queues do not tell it', () => {
    expect(endpointOf({}, `${ROOT}/{topic}`)).toBe('https://sqs.eu-west-1.amazonaws.com');
    expect(() => endpointOf({}, { a: `${ROOT}/a`, b: 'http://elsewhere/1/b' })).toThrow('give the endpoint');
    expect(endpointOf({ endpoint: 'http://vpc' }, { a: `${ROOT}/a`, b: 'http://elsewhere/1/b' })).toBe('http://vpc');
  });

  it('take the region of the endpoint where none is given', () => {
    expect(regionOf({}, 'https://sqs.eu-west-1.amazonaws.com')).toBe('eu-west-1');
    expect(regionOf({ region: 'us-east-2' }, 'https://sqs.eu-west-1.amazonaws.com')).toBe('us-east-2');
    expect(regionOf({}, 'http://127.0.0.1:4566')).toBeUndefined();
  });

  it('are refused with the name of what makes no sense', () => {
    const given = { connection: {}, queues: `${ROOT}/q.fifo`, topics: ['orders'] };
    expect(() => createSqsSink({ ...given, lanes: 0 })).toThrow('lanes is 0');
    expect(() => createSqsSubscription({ ...given, topics: [] })).toThrow('at least one topic');
    expect(() => createSqsSubscription({ ...given, visibilitySeconds: 1 })).toThrow('visibilitySeconds is 1');
    expect(() => createSqsSubscription({ ...given, waitSeconds: 21 })).toThrow('waitSeconds is 21');
  });

  it('are compared with the kind that the queue says it has', () => {
    expect(() => queueOf(`${ROOT}/q.fifo`, {})).toThrow('a standard queue, which its name denies');
    expect(queueOf(`${ROOT}/q.fifo`, { FifoQueue: 'true', MaximumMessageSize: '1024' })).toMatchObject({
      name: 'q.fifo',
      isFifo: true,
      messageBytesMax: 1_024,
      receivesMax: null,
    });
  });
});
