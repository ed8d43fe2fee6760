import { SHARDS_MAX, type StartFrom } from '@millrace/capture';
import { toPosition } from '@millrace/events';
import { z } from 'zod';
import { mapping, oneOf, texts, whole } from './config-values.js';

const TOPIC =
  'give letters, digits, ".", "_", "-" and {aggregatetype}, {type}, {source} or {route}, at most 249 characters';
const FROM = 'give earliest, now or the number of a position (in quotes above 9007199254740991)';
const POSITION = /^\d{1,18}$/;

const filter = mapping({
  aggregatetypes: texts((type) => type !== '', 'give a list of aggregate types, at least one'),
});

/** One route of the file. */
export const routeSchema = mapping({
  source: z.string({ error: 'give the name of one of the sources' }),
  sink: z.string({ error: 'give the name of one of the sinks' }),
  filter: filter.optional(),
  topic: z.string({ error: TOPIC }).refine(isTopicTemplate, { error: TOPIC }).optional(),
  from: z
    .preprocess(
      toStartFrom,
      z.custom<StartFrom>((value) => value !== undefined, { error: FROM }),
    )
    .optional(),
  shards: whole(1, SHARDS_MAX).optional(),
  onPoison: oneOf(['block'], ['park', 'skip']).optional(),
  batch: mapping({ records: whole(1, 1_000).optional(), bytes: whole(1_024, 1_000_000).optional() }).optional(),
});

function isTopicTemplate(text: string): boolean {
  return /^[a-zA-Z0-9._-]{1,249}$/.test(text.replace(/\{(aggregatetype|type|source|route)\}/g, 'x'));
}

function toStartFrom(value: unknown): StartFrom | undefined {
  if (value === 'earliest' || value === 'now') {
    return { kind: value };
  }
  const isNumber = typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
  return isNumber || (typeof value === 'string' && POSITION.test(value))
    ? { kind: 'position', position: toPosition(value) }
    : undefined;
}
