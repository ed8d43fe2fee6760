import { z } from 'zod';

const NAME = /^[a-z][a-z0-9_-]{0,62}$/;
const DIGITS = /^\d{1,15}$/;
const NAME_RULE = 'give a name of 1 to 63 lower-case letters, digits, "-" and "_", beginning with a letter';

/** A strict mapping: its error for an unknown key tells the keys that it knows. */
export function mapping<Shape extends z.core.$ZodLooseShape>(shape: Shape): z.ZodObject<Shape, z.core.$strict> {
  const known = Object.entries(shape)
    .flatMap(([key, value]: [string, object]) => (LATER.has(value) ? [] : [key]))
    .join(', ');
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? `known here: ${known}` : `give a mapping with: ${known}`),
  });
}

/** A mapping from names (they go into headers, metrics and paths) to settings. */
export function named<Value extends z.ZodType>(value: Value, what: string): z.ZodRecord<z.ZodString, Value> {
  return z.record(z.string().regex(NAME), value, {
    error: (issue) =>
      issue.code === 'invalid_key' ? NAME_RULE : `give a mapping from the name of a ${what} to its settings`,
  });
}

const LATER = new WeakSet<object>();

/** A key that a later release knows: refused with a sentence, not as unknown. */
export function later(sentence: string): z.ZodOptional<z.ZodNever> {
  const schema = z.never({ error: sentence }).optional();
  LATER.add(schema);
  return schema;
}

/** One of the words; words of later releases are refused by name. */
export function oneOf<const Word extends string>(
  words: readonly Word[],
  laterWords: readonly string[] = [],
): z.ZodEnum<{ [K in Word]: K }> {
  const choice = `give ${words.join(', ').replace(/, ([^,]*)$/, ' or $1')}`;
  return z.enum(words, {
    error: ({ input }) =>
      typeof input === 'string' && laterWords.includes(input)
        ? `${input} is not available in this release: ${choice}`
        : choice,
  });
}

/** A whole number; values from the environment are text, so digits count as one. */
export function whole(min: number, max: number): z.ZodType<number> {
  const error = `give a whole number from ${min} to ${max}`;
  return z.preprocess(
    (value) => (typeof value === 'string' && DIGITS.test(value) ? Number(value) : value),
    z.int({ error }).min(min, { error }).max(max, { error }),
  );
}

/** True or false, also as text from the environment. */
export function flag(): z.ZodType<boolean> {
  return z.preprocess(
    (value) => (value === 'true' ? true : value === 'false' ? false : value),
    z.boolean({ error: 'give true or false' }),
  );
}

/** A text that is not empty. */
export function text(error: string): z.ZodString {
  return z.string({ error }).min(1, { error });
}

/** A list of at least one text, or one text with commas. */
export function texts(isValid: (text: string) => boolean, error: string): z.ZodType<string[]> {
  return z.preprocess(
    (value) => (typeof value === 'string' ? value.split(',').map((part) => part.trim()) : value),
    z.array(z.string({ error }).refine(isValid, { error }), { error }).min(1, { error }),
  );
}
