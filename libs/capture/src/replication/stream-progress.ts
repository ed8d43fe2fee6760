/**
 * How far the stream has come, and the one LSN that the server may believe: below `confirmedLsn` everything is settled.
 * It never goes back. It moves when the owner confirms; and, while nothing is outstanding, with the marks of the stream
 * (keepalives, heartbeats, transactions without rows of the outbox), so that the slot of an idle outbox does not hold
 * the WAL of others.
 */
export class StreamProgress {
  private confirmed: bigint;
  private received: bigint;
  private announced: bigint;
  private isReceiving = false;
  private lastEndLsn = 0n;
  private markLsn = 0n;

  /** `startLsn` is where the stream begins: what lies below was settled before. */
  constructor(startLsn: bigint) {
    this.confirmed = startLsn;
    this.received = startLsn;
    this.announced = startLsn;
  }

  get confirmedLsn(): bigint {
    return this.confirmed;
  }

  /** Everything that was committed below it has been received, as far as it is published. */
  get receivedLsn(): bigint {
    return this.received;
  }

  /** The farthest place in its WAL that the server has told of. */
  get serverLsn(): bigint {
    return this.announced > this.received ? this.announced : this.received;
  }

  /** A transaction has begun to arrive whose commit lies at `commitLsn`. */
  transactionBegan(commitLsn: bigint): void {
    this.isReceiving = true;
    this.announced = commitLsn;
  }

  /** It is complete, and its rows are the owner's to confirm. */
  transactionCame(endLsn: bigint): void {
    this.isReceiving = false;
    this.lastEndLsn = endLsn;
    this.receive(endLsn);
  }

  /** It is complete and had no rows. */
  emptyTransactionCame(endLsn: bigint): void {
    this.isReceiving = false;
    this.passed(endLsn);
  }

  /** The stream has passed this place. Between the messages of a transaction that says nothing. */
  passed(lsn: bigint): void {
    if (this.isReceiving) {
      return;
    }
    this.markLsn = lsn > this.markLsn ? lsn : this.markLsn;
    this.receive(lsn);
    this.followMark();
  }

  /** Everything at or below is settled; a lower one than before changes nothing. */
  confirm(lsn: bigint): void {
    if (lsn > this.confirmed) {
      this.confirmed = lsn;
    }
    this.followMark();
  }

  private receive(lsn: bigint): void {
    this.received = lsn > this.received ? lsn : this.received;
  }

  private followMark(): void {
    const isOutstanding = this.isReceiving || this.confirmed < this.lastEndLsn;
    if (!isOutstanding && this.markLsn > this.confirmed) {
      this.confirmed = this.markLsn;
    }
  }
}
