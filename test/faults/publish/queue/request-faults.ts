import { type ChooseHttpFault, type EntryFailure, type HttpFault } from '@millrace/testing';
import { type Random } from '../../../ledger/random.js';

const HARMED_PERCENT = 40;
const FAILED_ENTRIES_PERCENT = 30;
/** What SQS itself answers for an entry when it is not the entry's fault. */
const ENTRY_CODES = ['InternalError', 'ServiceUnavailable', 'RequestThrottled'];

/** What is done to requests that send, one after the other. */
export const REQUEST_FAULTS = ['failed entries', 'throttled', '5xx', 'reply lost', 'reply swallowed'] as const;
export type RequestFault = (typeof REQUEST_FAULTS)[number];

/** How a request that sends is harmed, by chance; of failed entries half are stored all the same. */
function faultOf(fault: RequestFault, random: Random): HttpFault {
  switch (fault) {
    case 'failed entries':
      return { kind: 'fail_entries', failureOf: () => failureOf(random) };
    case 'throttled':
      return { kind: 'answer', status: 400, code: 'RequestThrottled' };
    case '5xx':
      return { kind: 'answer', status: 503, code: 'ServiceUnavailable' };
    case 'reply lost':
      return { kind: 'lose_reply' };
    case 'reply swallowed':
      return { kind: 'swallow_reply' };
  }
}

function failureOf(random: Random): EntryFailure | null {
  const code = ENTRY_CODES[random.below(ENTRY_CODES.length)] ?? '';
  const isStored = random.isOneIn(2);
  return random.below(100) < FAILED_ENTRIES_PERCENT ? { code, isSenderFault: false, isStored } : null;
}

/** Harms requests that send in one of these ways: each in which entries fail, of others some by chance. Tells which it was. */
export function harming(
  faults: readonly RequestFault[],
  random: Random,
  done: (fault: RequestFault) => void,
): ChooseHttpFault {
  return ({ action }) => {
    const fault = faults[random.below(faults.length)];
    const isHarmed = fault === 'failed entries' || random.below(100) < HARMED_PERCENT;
    if (action !== 'SendMessageBatch' || fault === undefined || !isHarmed) {
      return { kind: 'pass' };
    }
    done(fault);
    return faultOf(fault, random);
  };
}
