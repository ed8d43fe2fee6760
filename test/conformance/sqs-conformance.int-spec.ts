import { afterAll, beforeAll, describe } from '@jest/globals';
import { itConforms } from './it-conforms.js';
import { type SqsSubject, startSqsSubject } from './sqs-subject.js';

const NOT_PROMISED = {
  FIFO: ['read back'],
  standard: ['read back', 'order per key', 'no repeats'],
} as const;

describe.each(['FIFO', 'standard'] as const)('a sink for SQS conforms on %s queues', (kind) => {
  let subject: SqsSubject;

  beforeAll(async () => {
    subject = await startSqsSubject(kind);
  });

  afterAll(async () => {
    await subject.stop();
  });

  itConforms(() => subject, NOT_PROMISED[kind]);
});
