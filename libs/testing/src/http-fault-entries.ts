import { type BatchEntry, type EntryFailure } from './http-fault.js';

/** A batch request without the entries that are to fail before they are stored. */
export interface SplitBatch {
  /** Null when no entry is left. */
  readonly body: string | null;
  /** The server's answer to it, with the failures. */
  readonly withFailures: (answer: string) => string;
}

interface Entry {
  readonly Id: string;
  readonly MessageGroupId?: string;
  readonly MessageBody?: string;
}

interface Answer {
  readonly Successful?: readonly { readonly Id: string }[];
  readonly Failed?: readonly object[];
}

/** Takes the entries that fail out of a request of SQS's JSON protocol, and puts them into its answer. */
export function failEntries(body: string, failureOf: (entry: BatchEntry) => EntryFailure | null): SplitBatch {
  const request = JSON.parse(body) as { readonly Entries: readonly Entry[] };
  const failures = new Map<string, EntryFailure>();
  for (const [index, { Id, MessageGroupId: group = '', MessageBody = '' }] of request.Entries.entries()) {
    const failure = failureOf({ index, group, body: MessageBody });
    if (failure !== null) {
      failures.set(Id, failure);
    }
  }
  const passed = request.Entries.filter(({ Id }) => failures.get(Id)?.isStored ?? !failures.has(Id));
  return {
    body: passed.length === 0 ? null : JSON.stringify({ ...request, Entries: passed }),
    withFailures: (answer) => answerWith(answer, failures),
  };
}

function answerWith(answer: string, failures: ReadonlyMap<string, EntryFailure>): string {
  const { Successful = [], Failed = [], ...rest } = JSON.parse(answer) as Answer;
  return JSON.stringify({
    ...rest,
    Successful: Successful.filter(({ Id }) => !failures.has(Id)),
    Failed: [
      ...Failed,
      ...[...failures].map(([Id, { code, isSenderFault }]) => ({ Id, Code: code, SenderFault: isSenderFault })),
    ],
  });
}
