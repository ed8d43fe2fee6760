import { describe, expect, it } from '@jest/globals';
import { StartError } from '@millrace/http';

import { readServiceConfig } from './service.config.js';
import { teaService } from './testing/tea-service.js';

const given = { DATABASE_URL: 'postgres://127.0.0.1/tea', KAFKA_BROKERS: '127.0.0.1:9092' };

function problemsOf(environment: NodeJS.Dict<string>): readonly string[] {
  try {
    readServiceConfig(teaService, { ...given, ...environment });
    return [];
  } catch (error) {
    if (error instanceof StartError) {
      return error.problems;
    }
    throw error;
  }
}

describe('the environment of a service', () => {
  it('needs a database and brokers only', () => {
    expect(readServiceConfig(teaService, given)).toMatchObject({
      source: 'tea',
      database: { url: given.DATABASE_URL, poolMax: 10 },
      http: { PORT: 4711, HOST: '127.0.0.1' },
      events: { kind: 'kafka', client: 'platformatic' },
      consumerConcurrency: 3,
      consumerBatch: 20,
    });
  });

  it('needs no brokers where events come from its own database', () => {
    const environment = { DATABASE_URL: given.DATABASE_URL, MILLRACE_SUBSCRIPTION: 'postgres' };

    expect(readServiceConfig(teaService, environment).events).toEqual({ kind: 'postgres' });
    expect(problemsOf({ MILLRACE_SUBSCRIPTION: 'pigeon' })).toEqual([
      'MILLRACE_SUBSCRIPTION is not valid: give one of kafka, postgres, sqs',
    ]);
  });

  it('needs no brokers where events come from queues, but needs the queues', () => {
    const environment = { DATABASE_URL: given.DATABASE_URL, MILLRACE_SUBSCRIPTION: 'sqs' };
    const queues = 'https://sqs.eu-west-1.amazonaws.com/123456789012/tea.fifo';

    expect(readServiceConfig(teaService, { ...environment, MILLRACE_SQS_QUEUES: queues }).events).toEqual({
      kind: 'sqs',
      connection: {},
      queues,
      payloadsDirectory: undefined,
    });
    const rule = 'give the URL of the queue, with {topic} in its name where each topic has one';
    expect(problemsOf({ ...environment })).toEqual([`MILLRACE_SQS_QUEUES is not set: ${rule}.`]);
    expect(problemsOf({ ...environment, MILLRACE_SQS_QUEUES: 'tea' })).toEqual([
      `MILLRACE_SQS_QUEUES is not valid: ${rule}`,
    ]);
  });

  it('is refused with all problems at once, also those of Kafka', () => {
    const problems = problemsOf({
      DATABASE_URL: undefined,
      KAFKA_BROKERS: undefined,
      MILLRACE_CONSUMER_CONCURRENCY: '0',
    });
    expect(problems).toEqual([
      expect.stringContaining('DATABASE_URL is not set'),
      expect.stringContaining('MILLRACE_CONSUMER_CONCURRENCY is not valid'),
      expect.stringContaining('KAFKA_BROKERS'),
    ]);
  });
});
