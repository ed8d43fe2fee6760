/** A record as Kafka's own console consumer printed it. */
export interface ConsumedRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly timestampMs: number;
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: string | null;
}

/** Control characters, which neither a key nor JSON text (where they are escaped) nor a header of ours can hold. */
const FIELD_END = '\u001f';
const HEADER_END = '\u001e';
const NULL = '\u001c';
export const RECORD_END = '\u001d';

/** The settings of Kafka's DefaultMessageFormatter that `parseConsoleRecord` reads. */
export const FORMATTER_PROPERTIES: readonly string[] = [
  'print.timestamp=true',
  'print.partition=true',
  'print.offset=true',
  'print.headers=true',
  'print.key=true',
  'print.value=true',
  `key.separator=${FIELD_END}`,
  `headers.separator=${HEADER_END}`,
  `line.separator=${RECORD_END}`,
  `null.literal=${NULL}`,
];

/** Reads one record's text, without its end mark. Throws on text of another form, naming its field, never its content. */
export function parseConsoleRecord(topic: string, text: string): ConsumedRecord {
  const fields = text.split(FIELD_END);
  if (fields.length !== 6) {
    throw new Error(`A record of ${topic} was printed with ${fields.length} fields instead of 6.`);
  }
  const [timestamp = '', partition = '', offset = '', headers = '', key = '', value = ''] = fields;
  return {
    topic,
    partition: Number(afterColon(partition)),
    offset: BigInt(afterColon(offset)),
    timestampMs: Number(afterColon(timestamp)),
    key: key === NULL ? null : key,
    headers: parseHeaders(headers),
    value: value === NULL ? null : value,
  };
}

function parseHeaders(text: string): Record<string, string> {
  if (text === 'NO_HEADERS') {
    return {};
  }
  return Object.fromEntries(
    text.split(HEADER_END).map((header) => {
      const colon = header.indexOf(':');
      return [header.slice(0, colon), header.slice(colon + 1)];
    }),
  );
}

function afterColon(text: string): string {
  return text.slice(text.indexOf(':') + 1);
}
