import { type GroupMember, isRejoinError } from './group-member.js';
import { KafkaAnswerError } from './kafka-answer.js';

export interface GroupHeartbeatOptions {
  readonly member: GroupMember;
  readonly intervalMs: number;
  /** Without an answer for so long, the member has no reason to think that it is one. */
  readonly sessionTimeoutMs: number;
  /** The group has moved on; told at each heartbeat until it is closed. */
  readonly onRejoin: (error: unknown) => void;
  readonly onFailure: (error: unknown) => void;
}

/** Says every few seconds that this member lives, whatever its receivers do. A coordinator that moves is followed. */
export class GroupHeartbeat {
  #timer: NodeJS.Timeout | undefined;
  #answeredAt = performance.now();
  #isClosed = false;

  constructor(private readonly options: GroupHeartbeatOptions) {
    this.#schedule();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (!this.#isClosed) {
      this.#timer = setTimeout(() => {
        void this.#beat().finally(() => {
          this.#schedule();
        });
      }, this.options.intervalMs);
    }
  }

  async #beat(): Promise<void> {
    const { member, sessionTimeoutMs, onRejoin, onFailure } = this.options;
    try {
      await member.heartbeat();
      this.#answeredAt = performance.now();
    } catch (error) {
      if (this.#isClosed) {
        return;
      }
      if (isRejoinError(error)) {
        this.#answeredAt = performance.now();
        onRejoin(error);
      } else if (isLasting(error) || performance.now() - this.#answeredAt > sessionTimeoutMs) {
        onFailure(error);
      }
    }
  }
}

/** What the coordinator says is final; that it moves or starts is not, and no more is a connection that breaks. */
function isLasting(error: unknown): boolean {
  return error instanceof KafkaAnswerError && !error.isOfCoordinator;
}
