/** The parameters of a PostgreSQL session, as its client has asked for them. */
export type StartupParameters = Readonly<Record<string, string>>;

/** What the first bytes of a client say; `more`: not enough of them yet. */
export type StartupReading =
  | { readonly kind: 'more' }
  /** A request for encryption: the server answers, then the client begins again. */
  | { readonly kind: 'request' }
  | { readonly kind: 'startup'; readonly parameters: StartupParameters }
  /** A cancellation, or no PostgreSQL at all. */
  | { readonly kind: 'other' };

const HEADER_BYTES = 8;
const PROTOCOL_3 = 3;
const LENGTH_MAX = 10_000;
const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;

/** Reads the first message of a PostgreSQL client. */
export function readStartup(bytes: Buffer): StartupReading {
  if (bytes.length < HEADER_BYTES) {
    return { kind: 'more' };
  }
  const length = bytes.readInt32BE(0);
  const code = bytes.readInt32BE(4);
  if (code === SSL_REQUEST || code === GSS_REQUEST) {
    return { kind: 'request' };
  }
  if (code >>> 16 !== PROTOCOL_3 || length > LENGTH_MAX) {
    return { kind: 'other' };
  }
  return bytes.length < length
    ? { kind: 'more' }
    : { kind: 'startup', parameters: parametersOf(bytes.toString('utf8', HEADER_BYTES, length)) };
}

/** Names and values in turn, each ended by a zero. */
function parametersOf(text: string): StartupParameters {
  const texts = text.split('\0');
  const parameters: Record<string, string> = {};
  for (let at = 0; at + 1 < texts.length && texts[at] !== ''; at += 2) {
    parameters[texts[at] ?? ''] = texts[at + 1] ?? '';
  }
  return parameters;
}
