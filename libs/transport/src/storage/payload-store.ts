/** Where a payload lies that was too large to be sent. It names the content too, so that what is read can be checked. */
export interface PayloadPointer {
  /** The store's name for it. */
  readonly name: string;
  /** Hexadecimal, of the payload. */
  readonly sha256: string;
  readonly bytes: number;
}

/** Why a payload could not be kept or had. `missing` and `corrupt`: trying again does not help. */
export type PayloadStoreErrorCode = 'unavailable' | 'missing' | 'corrupt';

/** The one error of a store. `message` is a sentence for an operator; no payload. */
export class PayloadStoreError extends Error {
  override readonly name = 'PayloadStoreError';

  constructor(
    readonly code: PayloadStoreErrorCode,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }
}

/**
 * Keeps payloads that are too large for a sink (claim check): the record carries the pointer instead. One that was put
 * stays for longer than any record that points to it can; a store never deletes by itself.
 */
export interface PayloadStore {
  /** Resolves when the payload is durable. Putting the same content again is harmless. Throws `PayloadStoreError`. */
  put(payload: Buffer): Promise<PayloadPointer>;
  /** The payload, checked against its pointer. Throws `PayloadStoreError`. */
  get(pointer: PayloadPointer): Promise<Buffer>;
}
