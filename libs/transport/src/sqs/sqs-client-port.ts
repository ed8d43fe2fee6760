/** One message of a batch that is sent. */
export interface SqsEntry {
  /** Unique within the batch. */
  readonly id: string;
  readonly body: string;
  /** The value of the one attribute that a message of ours has. */
  readonly envelope: string;
  /** Both null on a standard queue. */
  readonly groupId: string | null;
  readonly deduplicationId: string | null;
}

/** An entry that SQS did not take, though it answered the batch with 200. */
export interface SqsEntryFailure {
  readonly id: string;
  readonly code: string;
  /** The entry itself is at fault, by what SQS says. */
  readonly isSenderFault: boolean;
}

/** What became of the entries of a batch, by id. */
export interface SqsBatchAnswer {
  readonly done: readonly string[];
  readonly failed: readonly SqsEntryFailure[];
}

/** A message as it came. */
export interface SqsReceived {
  readonly messageId: string;
  readonly receiptHandle: string;
  readonly body: string;
  /** Attributes that are texts. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly groupId: string | null;
  readonly sentAtMs: number;
  /** How often it has been received, about; from 1 on. */
  readonly receiveCount: number;
}

/** How messages are asked for. */
export interface SqsReceiveRequest {
  /** 1 to 10. */
  readonly messagesMax: number;
  /** How long SQS waits for the first one, 0 to 20. */
  readonly waitSeconds: number;
  readonly visibilitySeconds: number;
}

/** For how long a message stays hidden from now on; 0 gives it back. */
export interface SqsVisibility {
  readonly id: string;
  readonly receiptHandle: string;
  readonly seconds: number;
}

/** A message that is done. */
export interface SqsDeletion {
  readonly id: string;
  readonly receiptHandle: string;
}

/**
 * What is asked of SQS. Each call is one request, never repeated by itself, and ends when its signal is aborted. Errors
 * come through as the client has them; `classifySqsError` reads them.
 */
export interface SqsClientPort {
  queueAttributes(queueUrl: string, signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
  /** At most ten entries. */
  send(queueUrl: string, entries: readonly SqsEntry[], signal: AbortSignal): Promise<SqsBatchAnswer>;
  receive(queueUrl: string, request: SqsReceiveRequest, signal: AbortSignal): Promise<readonly SqsReceived[]>;
  /** At most ten. */
  delete(queueUrl: string, deletions: readonly SqsDeletion[], signal: AbortSignal): Promise<SqsBatchAnswer>;
  /** At most ten. */
  changeVisibility(queueUrl: string, changes: readonly SqsVisibility[], signal: AbortSignal): Promise<SqsBatchAnswer>;
  /** Ends its connections. */
  close(): void;
}

/** Makes a client; loads its package. Throws `SinkError` `configuration` when that is not there. */
export type CreateSqsClient = () => Promise<SqsClientPort>;
