import { problemOfQueueUrl } from '@millrace/transport';
import { z } from 'zod';
import { mapping, text, whole } from './config-values.js';

const QUEUES =
  'give the URL of a queue, with {topic} in its name for a queue per topic, or a mapping from topics to URLs';
const MIXED = 'give FIFO queues only (their names end in .fifo), or standard queues only';

const queueUrl = z.string({ error: QUEUES }).refine((url) => problemOfQueueUrl(url) === null, { error: QUEUES });

/** Queues of SQS. Credentials are those of the AWS SDK's default chain, never of this file. */
export const sqsSink = mapping({
  kind: z.literal('sqs'),
  queues: z
    .union([queueUrl, z.record(z.string(), queueUrl)], { error: QUEUES })
    .refine((queues) => new Set(urlsOf(queues).map((url) => url.endsWith('.fifo'))).size === 1, { error: MIXED }),
  region: text('give the name of an AWS region, such as eu-west-1').optional(),
  endpoint: z.url({ protocol: /^https?$/, error: 'give the http(s) URL of the service' }).optional(),
  lanes: whole(1, 256).optional(),
  payloads: mapping({ directory: text('give the path of a directory that the consumers see as well') }).optional(),
}).check(({ value, issues }) => {
  const hosts = new Set(urlsOf(value.queues).map((url) => /^https?:\/\/[^/]*/.exec(url)?.[0]));
  if (value.endpoint === undefined && hosts.size > 1) {
    const message = 'give the http(s) URL of the service, as the queues lie at different addresses';
    issues.push({ code: 'custom', input: value, path: ['endpoint'], message });
  }
});

function urlsOf(queues: string | Readonly<Record<string, string>>): readonly string[] {
  return typeof queues === 'string' ? [queues] : Object.values(queues);
}
