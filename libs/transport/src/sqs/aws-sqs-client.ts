import type * as aws from '@aws-sdk/client-sqs';
import { SinkError } from '../transport.errors.js';
import { regionOf, type SqsConnection } from './sqs-config.js';
import {
  type SqsBatchAnswer,
  type SqsClientPort,
  type SqsDeletion,
  type SqsEntry,
  type SqsReceived,
  type SqsReceiveRequest,
  type SqsVisibility,
} from './sqs-client-port.js';
import { ENVELOPE_ATTRIBUTE } from './sqs-envelope.js';

type Sdk = typeof aws;

const PACKAGE = '@aws-sdk/client-sqs';
const VERSION = '3.1169.0';
const CONNECT_TIMEOUT_MS = 3_000;
const SOCKETS_MAX = 200;
const MISSING: ReadonlySet<unknown> = new Set(['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND']);

/** `SqsClientPort` on the AWS SDK 3, an optional peer that is loaded here. Throws `SinkError` `configuration`. */
export async function createAwsSqsClient(connection: SqsConnection, endpoint: string): Promise<SqsClientPort> {
  return new AwsSqsClient(await loadSdk(), connection, endpoint);
}

async function loadSdk(): Promise<Sdk> {
  try {
    return await import('@aws-sdk/client-sqs');
  } catch (cause) {
    if (typeof cause === 'object' && cause !== null && MISSING.has(Reflect.get(cause, 'code'))) {
      throw new SinkError(
        'configuration',
        `The package ${PACKAGE} is not installed: npm install ${PACKAGE}@${VERSION}.`,
        {
          cause,
        },
      );
    }
    throw cause;
  }
}

/** Credentials and region come from the SDK's default chain unless they are given. The SDK's own retries are off. */
class AwsSqsClient implements SqsClientPort {
  readonly #client: aws.SQSClient;

  constructor(
    private readonly sdk: Sdk,
    connection: SqsConnection,
    endpoint: string,
  ) {
    const { credentials } = connection;
    const region = regionOf(connection, endpoint);
    this.#client = new sdk.SQSClient({
      ...(region !== undefined && { region }),
      ...(credentials !== undefined && { credentials }),
      endpoint,
      // what is sent again, when, and in which order, is decided above
      maxAttempts: 1,
      requestHandler: {
        connectionTimeout: CONNECT_TIMEOUT_MS,
        httpAgent: { maxSockets: SOCKETS_MAX, keepAlive: true },
        httpsAgent: { maxSockets: SOCKETS_MAX, keepAlive: true },
      },
    });
  }

  async queueAttributes(QueueUrl: string, abortSignal: AbortSignal): Promise<Readonly<Record<string, string>>> {
    const command = new this.sdk.GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] });
    const { Attributes = {} } = await this.#client.send(command, { abortSignal });
    return Attributes;
  }

  async send(QueueUrl: string, entries: readonly SqsEntry[], abortSignal: AbortSignal): Promise<SqsBatchAnswer> {
    const command = new this.sdk.SendMessageBatchCommand({ QueueUrl, Entries: entries.map(entryOf) });
    return answerOf(await this.#client.send(command, { abortSignal }));
  }

  async receive(
    QueueUrl: string,
    { messagesMax, waitSeconds, visibilitySeconds }: SqsReceiveRequest,
    abortSignal: AbortSignal,
  ): Promise<readonly SqsReceived[]> {
    const command = new this.sdk.ReceiveMessageCommand({
      QueueUrl,
      MaxNumberOfMessages: messagesMax,
      WaitTimeSeconds: waitSeconds,
      VisibilityTimeout: visibilitySeconds,
      MessageAttributeNames: ['All'],
      MessageSystemAttributeNames: ['MessageGroupId', 'SentTimestamp', 'ApproximateReceiveCount'],
    });
    const { Messages = [] } = await this.#client.send(command, { abortSignal });
    return Messages.flatMap(receivedOf);
  }

  async delete(QueueUrl: string, deletions: readonly SqsDeletion[], abortSignal: AbortSignal): Promise<SqsBatchAnswer> {
    const Entries = deletions.map(({ id: Id, receiptHandle: ReceiptHandle }) => ({ Id, ReceiptHandle }));
    return answerOf(
      await this.#client.send(new this.sdk.DeleteMessageBatchCommand({ QueueUrl, Entries }), { abortSignal }),
    );
  }

  async changeVisibility(
    QueueUrl: string,
    changes: readonly SqsVisibility[],
    abortSignal: AbortSignal,
  ): Promise<SqsBatchAnswer> {
    const Entries = changes.map(({ id: Id, receiptHandle: ReceiptHandle, seconds: VisibilityTimeout }) => ({
      Id,
      ReceiptHandle,
      VisibilityTimeout,
    }));
    const command = new this.sdk.ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries });
    return answerOf(await this.#client.send(command, { abortSignal }));
  }

  close(): void {
    this.#client.destroy();
  }
}

function entryOf({ id, body, envelope, groupId, deduplicationId }: SqsEntry): aws.SendMessageBatchRequestEntry {
  return {
    Id: id,
    MessageBody: body,
    MessageAttributes: { [ENVELOPE_ATTRIBUTE]: { DataType: 'String', StringValue: envelope } },
    ...(groupId !== null && { MessageGroupId: groupId }),
    ...(deduplicationId !== null && { MessageDeduplicationId: deduplicationId }),
  };
}

function answerOf({
  Successful = [],
  Failed = [],
}: Pick<aws.DeleteMessageBatchResult, 'Failed'> & {
  readonly Successful?: readonly { readonly Id: string | undefined }[] | undefined;
}): SqsBatchAnswer {
  return {
    done: Successful.flatMap(({ Id }) => (Id === undefined ? [] : [Id])),
    failed: Failed.map(({ Id = '', Code = 'unknown', SenderFault = false }) => ({
      id: Id,
      code: Code,
      isSenderFault: SenderFault,
    })),
  };
}

/** None for a message without the handle that it could be deleted by. */
function receivedOf(message: aws.Message): readonly SqsReceived[] {
  const { MessageId, ReceiptHandle, Body = '', Attributes = {}, MessageAttributes = {} } = message;
  if (MessageId === undefined || ReceiptHandle === undefined) {
    return [];
  }
  const texts = Object.entries(MessageAttributes).flatMap(([name, { StringValue }]) =>
    StringValue === undefined ? [] : [[name, StringValue] as const],
  );
  return [
    {
      messageId: MessageId,
      receiptHandle: ReceiptHandle,
      body: Body,
      attributes: new Map(texts),
      groupId: Attributes.MessageGroupId ?? null,
      sentAtMs: Number(Attributes.SentTimestamp ?? 0),
      receiveCount: Number(Attributes.ApproximateReceiveCount ?? 1),
    },
  ];
}
