import { KafkaAnswerError } from './kafka-answer.js';
import { type KafkaCluster, type TopicLeaders } from './kafka-cluster.js';
import { type SubscriptionEvent } from './subscription-events.js';

export interface TopicWatchOptions {
  readonly cluster: KafkaCluster;
  readonly topics: readonly string[];
  /** Between two looks while a topic is missing. */
  readonly missingPollMs: number;
  /** Between two looks when all are there. */
  readonly pollMs: number;
  readonly onEvent: (event: SubscriptionEvent) => void;
  /** These were there at the last look, and are no more. */
  readonly onGone: (topics: readonly string[]) => void;
  readonly onLook: (leaders: TopicLeaders) => void;
  /** This member deals the partitions out, and there are others now: topics that appeared or went, or more partitions. */
  readonly onPartitionsChanged: () => void;
  /** The cluster refuses to tell. */
  readonly onFailure: (error: unknown) => void;
}

/** Looks after the topics of a subscription: which exist, who leads their partitions, whether there are new ones. */
export class TopicWatch {
  #missing: readonly string[] = [];
  #leads: TopicLeaders | undefined;
  #leaders: TopicLeaders = new Map();
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(private readonly options: TopicWatchOptions) {}

  /** Topics of the subscription that do not exist at the moment. */
  get missing(): readonly string[] {
    return this.#missing;
  }

  /** As of the last look. */
  get leaders(): TopicLeaders {
    return this.#leaders;
  }

  /** The first look; rejects when no broker can be asked. */
  async open(): Promise<void> {
    await this.#look();
    this.#schedule();
  }

  /** `leads` is what the partitions were dealt out by, when this member did it. */
  compareWith(leads: TopicLeaders | undefined): void {
    this.#leads = leads;
  }

  /** Looks now, once for all that ask at the same time. Never rejects. */
  refresh(): Promise<void> {
    this.#looking ??= this.#look()
      .catch((error: unknown) => {
        // a broker that does not answer is the heartbeat's business
        if (error instanceof KafkaAnswerError && !this.#isClosed) {
          this.options.onFailure(error);
        }
      })
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#isClosed) {
      return;
    }
    const isMissing = [...this.#wanted()].some((topic) => !this.#leaders.has(topic));
    this.#timer = setTimeout(
      () => {
        void this.refresh().then(() => {
          this.#schedule();
        });
      },
      isMissing ? this.options.missingPollMs : this.options.pollMs,
    );
  }

  async #look(): Promise<void> {
    const { cluster, topics, onGone, onLook, onPartitionsChanged } = this.options;
    const leaders = await cluster.leadersOf([...this.#wanted()]);
    if (this.#isClosed) {
      return;
    }
    const gone = [...this.#leaders.keys()].filter((topic) => !leaders.has(topic));
    this.#leaders = leaders;
    this.#tellMissing(topics.filter((topic) => !leaders.has(topic)));
    if (gone.length > 0) {
      onGone(gone);
    }
    onLook(leaders);
    if (this.#leads !== undefined && !haveSameCounts(this.#leads, leaders)) {
      this.#leads = undefined;
      onPartitionsChanged();
    }
  }

  /** Our topics, and those of the members whose partitions we deal out. */
  #wanted(): ReadonlySet<string> {
    return new Set([...this.options.topics, ...(this.#leads?.keys() ?? [])]);
  }

  #tellMissing(missing: readonly string[]): void {
    const { onEvent } = this.options;
    for (const topic of missing.filter((name) => !this.#missing.includes(name))) {
      onEvent({ kind: 'topic_missing', topic });
    }
    for (const topic of this.#missing.filter((name) => !missing.includes(name))) {
      onEvent({ kind: 'topic_appeared', topic });
    }
    this.#missing = missing;
  }
}

function haveSameCounts(one: TopicLeaders, other: TopicLeaders): boolean {
  return one.size === other.size && [...one].every(([topic, leaders]) => other.get(topic)?.length === leaders.length);
}
