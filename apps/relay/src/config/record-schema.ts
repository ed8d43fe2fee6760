import {
  CLOUD_EVENTS_MODES,
  type HeaderMapping,
  type RecordShapeConfig,
  recordShapeProblems,
  type TopicReplacement,
  topicReplacementProblems,
  topicTemplateProblem,
} from '@millrace/relay';
import { z } from 'zod';
import { mapping, oneOf, text, texts } from './config-values.js';

/** What the names of source and route stand for while a template is checked: neither can make it wrong. */
const FIXED = { source: 'x', route: 'x' };
const TOPIC =
  'give letters, digits, ".", "_", "-" and {aggregatetype}, {type}, {header:name}, {source} or {route}, at most 249 ' +
  'characters, or a mapping with: by, regex, replacement';
const TEMPLATE = 'give a text, with placeholders such as {aggregateid} or {header:name}';

const topicText = z
  .string({ error: TOPIC })
  .refine((template) => topicTemplateProblem(template, FIXED) === null, { error: TOPIC });

const replacementShape = mapping({
  by: text('give aggregatetype, type or header:name').optional(),
  regex: text('give a regular expression, such as (.*)').optional(),
  replacement: text('give a text with $1 or ${name} for groups of the regex').optional(),
});
type CheckedReplacement = z.infer<typeof replacementShape>;

const topicMapping = replacementShape.check(({ value, issues }) => {
  for (const { setting, message } of topicReplacementProblems(replacementOf(value), FIXED)) {
    issues.push({ code: 'custom', input: value, path: [setting], message: `it ${message}` });
  }
});

/** The topics of a route: a template of ours, or Debezium's settings. */
const topic = z.custom<string | CheckedReplacement>().check(({ value, issues }) => {
  const parsed = (typeof value === 'string' ? topicText : topicMapping).safeParse(value);
  for (const issue of parsed.error?.issues ?? []) {
    const { path, message } = issue;
    issues.push(
      issue.code === 'unrecognized_keys'
        ? { code: issue.code, keys: issue.keys, input: {}, path, message }
        : { code: 'custom', input: value, path, message },
    );
  }
});

const headers = mapping({
  set: z.record(z.string(), z.string({ error: TEMPLATE }), { error: 'give a mapping from names to texts' }).optional(),
  rename: z
    .record(z.string(), text('give the new name'), { error: 'give a mapping from old names to new ones' })
    .optional(),
  remove: texts((name) => name !== '', 'give a list of names, at least one').optional(),
});

/** The settings of a route that say what its records are. */
export const recordSettings = {
  topic: topic.optional(),
  key: text(TEMPLATE).optional(),
  headers: headers.optional(),
  format: oneOf(['raw', ...CLOUD_EVENTS_MODES.map((mode) => `cloudevents-${mode}` as const)]).optional(),
  cloudEventsSource: text('give a URI reference, such as /shops/{source}').optional(),
};

/** They as the file has them. */
type RecordSettings = {
  readonly [Name in keyof typeof recordSettings]?: z.infer<(typeof recordSettings)[Name]> | undefined;
};

/** What is wrong between the settings, or in a template: where in the route, and what. */
export function recordProblems(settings: RecordSettings): { readonly path: string[]; readonly message: string }[] {
  const isSourceAlone = settings.cloudEventsSource !== undefined && formatOf(settings).format?.kind !== 'cloudevents';
  const problems = recordShapeProblems(recordShapeOf(settings), FIXED);
  return [
    ...problems.map(({ path, message }) => ({
      path: path[0] === 'format' ? ['cloudEventsSource'] : [...path],
      message: `it ${message}`,
    })),
    ...(isSourceAlone ? [{ path: ['cloudEventsSource'], message: 'give it with a CloudEvents format only' }] : []),
  ];
}

/** The shape that checked settings stand for. */
export function recordShapeOf(settings: RecordSettings): RecordShapeConfig {
  const { key, headers: mapped } = settings;
  return { ...(key !== undefined && { key }), ...(mapped && { headers: mappingOf(mapped) }), ...formatOf(settings) };
}

function formatOf({ format, cloudEventsSource: source }: RecordSettings): Pick<RecordShapeConfig, 'format'> {
  const mode = CLOUD_EVENTS_MODES.find((known) => format === `cloudevents-${known}`);
  return mode === undefined ? {} : { format: { kind: 'cloudevents', mode, ...(source !== undefined && { source }) } };
}

/** The topic setting that a checked one stands for. */
export function topicOf(topicSetting: string | CheckedReplacement): string | TopicReplacement {
  return typeof topicSetting === 'string' ? topicSetting : replacementOf(topicSetting);
}

function replacementOf({ by, regex, replacement }: CheckedReplacement): TopicReplacement {
  return {
    ...(by !== undefined && { by }),
    ...(regex !== undefined && { regex }),
    ...(replacement !== undefined && { replacement }),
  };
}

function mappingOf({ set, rename, remove }: z.infer<typeof headers>): HeaderMapping {
  return { ...(set && { set }), ...(rename && { rename }), ...(remove && { remove }) };
}
