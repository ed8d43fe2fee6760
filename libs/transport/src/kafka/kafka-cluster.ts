import { SinkError } from '../transport.errors.js';
import { within } from '../deadline.js';
import { ANSWER, assertAnswered } from './kafka-answer.js';
import { type BrokerLink, type KafkaConsumerPort } from './kafka-consumer-port.js';
import { SendDeadlineError } from './kafka-errors.js';
import { FIND_COORDINATOR, METADATA } from './wire/cluster-apis.js';
import { type WireApi, WireReader, WireWriter } from './wire/wire-buffers.js';

/** Of the topics that were asked for and exist: the leader of each partition by its number, -1 while there is none. */
export type TopicLeaders = ReadonlyMap<string, readonly number[]>;

export interface KafkaClusterOptions {
  readonly client: KafkaConsumerPort;
  /** `host:port`, in the order to try. */
  readonly bootstrap: readonly string[];
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

/**
 * The brokers of a cluster, each connected when it is first asked. Every request has a deadline; a broker that fails a
 * request or lets it pass is disconnected, so that the next request finds a new connection. Nothing is asked twice, but
 * for questions that any broker can answer: those go round the brokers once.
 */
export class KafkaCluster {
  readonly #links = new Map<string, Promise<BrokerLink>>();
  readonly #addresses = new Map<number, string>();
  /** What answered last comes first. */
  #known: readonly string[];
  #ending = new Ending();

  constructor(private readonly options: KafkaClusterOptions) {
    this.#known = options.bootstrap;
  }

  /** `null` means all topics, of which those that are not wanted, and Kafka's own, are left out. */
  async leadersOf(
    topics: readonly string[] | null,
    isWanted: (topic: string) => boolean = () => true,
  ): Promise<TopicLeaders> {
    const answer = await this.#askAny(METADATA, { topics });
    for (const { node, address } of answer.brokers) {
      this.#addresses.set(node, address);
    }
    this.#known = [...new Set([...this.#known, ...answer.brokers.map(({ address }) => address)])];
    const found = new Map<string, readonly number[]>();
    for (const { topic, errorCode, isInternal, partitions } of answer.topics) {
      const isLeftOut = topics === null && (isInternal || !isWanted(topic));
      if (errorCode === ANSWER.UNKNOWN_TOPIC_OR_PARTITION || isLeftOut) {
        continue;
      }
      // a topic that is being made has its partitions, without leaders, under this error
      if (errorCode !== ANSWER.LEADER_NOT_AVAILABLE) {
        assertAnswered(errorCode, `Metadata of topic ${topic}`);
      }
      const byNumber = [...partitions].sort((one, other) => one.partition - other.partition);
      found.set(
        topic,
        byNumber.map(({ leader }) => leader),
      );
    }
    return found;
  }

  async coordinatorOf(groupId: string): Promise<string> {
    const { errorCode, address } = await this.#askAny(FIND_COORDINATOR, { groupId });
    assertAnswered(errorCode, `FindCoordinator of group ${groupId}`);
    return address;
  }

  /** Throws for a broker that no metadata has named. */
  addressOf(node: number): string {
    const address = this.#addresses.get(node);
    if (address === undefined) {
      throw new SinkError('unavailable', `Kafka has no broker ${node} at the moment.`);
    }
    return address;
  }

  async ask<Question, Answer>(
    address: string,
    api: WireApi<Question, Answer>,
    question: Question,
    timeoutMs = this.options.requestTimeoutMs,
  ): Promise<Answer> {
    this.#ending.assertNot();
    const opening = this.#link(address);
    const writer = new WireWriter();
    api.write(writer, question);
    const request = { name: api.name, key: api.key, version: api.version, body: writer.finish() };
    try {
      const link = await opening;
      const body = await within(timeoutMs, link.send(request), () => {
        throw new SendDeadlineError(`${api.name} was not answered within ${timeoutMs} ms`);
      });
      return api.read(new WireReader(body));
    } catch (error) {
      this.#drop(address, opening);
      throw error;
    }
  }

  /** Ends all connections: what is in flight or being connected rejects, and so does every question from now on. */
  disconnect(): void {
    this.#ending.end();
    for (const [address, opening] of this.#links) {
      this.#drop(address, opening);
    }
  }

  /** Takes questions again. */
  reconnect(): void {
    this.#ending = new Ending();
  }

  async #askAny<Question, Answer>(api: WireApi<Question, Answer>, question: Question): Promise<Answer> {
    let failure: unknown;
    for (const address of this.#known) {
      try {
        const answer = await this.ask(address, api, question);
        this.#known = [address, ...this.#known.filter((other) => other !== address)];
        return answer;
      } catch (error) {
        failure ??= error;
      }
    }
    throw failure;
  }

  #link(address: string): Promise<BrokerLink> {
    const existing = this.#links.get(address);
    if (existing !== undefined) {
      return existing;
    }
    const { client, connectTimeoutMs } = this.options;
    const connecting = client.connect(address);
    const opened = within(connectTimeoutMs, this.#ending.orEarlier(connecting), () => {
      throw new SendDeadlineError(`${address} let nobody in within ${connectTimeoutMs} ms`);
    });
    opened.catch(() => connecting.then(close, () => undefined));
    this.#links.set(address, opened);
    return opened;
  }

  #drop(address: string, opening: Promise<BrokerLink>): void {
    if (this.#links.get(address) === opening) {
      this.#links.delete(address);
    }
    opening.then(close, () => undefined);
  }
}

/** Lets those who wait for a connection go when none is wanted any more. */
class Ending {
  #isEnded = false;
  readonly #waiting = new Set<(error: Error) => void>();

  end(): void {
    this.#isEnded = true;
    for (const reject of this.#waiting) {
      reject(disconnected());
    }
  }

  assertNot(): void {
    if (this.#isEnded) {
      throw disconnected();
    }
  }

  async orEarlier<Result>(work: Promise<Result>): Promise<Result> {
    let give: ((error: Error) => void) | undefined;
    const ended = new Promise<never>((_, reject) => {
      give = reject;
      this.#waiting.add(reject);
    });
    try {
      return await Promise.race([work, ended]);
    } finally {
      if (give !== undefined) {
        this.#waiting.delete(give);
      }
    }
  }
}

function disconnected(): SinkError {
  return new SinkError('unavailable', 'The subscription ended its connections to Kafka.');
}

function close(link: BrokerLink): void {
  link.close();
}
