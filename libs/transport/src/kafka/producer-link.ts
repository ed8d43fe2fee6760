import { SinkError } from '../transport.errors.js';
import { within } from '../deadline.js';
import { type KafkaProducerPort } from './kafka-producer-port.js';

/** How a new client is made; it is not connected yet. */
export type CreateProducer = () => Promise<KafkaProducerPort>;

export interface ProducerLinkLimits {
  readonly connectMs: number;
  readonly closeMs: number;
}

/**
 * The one client of a sink: connected when it is first asked for, shared by all lanes, thrown away when it is suspect
 * and made again at the next call. A connection that failed is not kept, so the caller's retry is a new attempt.
 */
export class ProducerLink {
  #current: Promise<KafkaProducerPort> | undefined;
  #live: KafkaProducerPort | undefined;

  constructor(
    private readonly create: CreateProducer,
    private readonly limits: ProducerLinkLimits,
  ) {}

  get(): Promise<KafkaProducerPort> {
    if (this.#current === undefined) {
      const opened = this.#open();
      this.#current = opened;
      opened.then(
        (producer) => {
          this.#live = producer;
        },
        () => {
          this.#current = undefined;
        },
      );
    }
    return this.#current;
  }

  /** Ends a client that may never answer again. A newer one, made after another lane did the same, is left alone. */
  async discard(suspect: KafkaProducerPort): Promise<void> {
    if (this.#live === suspect) {
      this.#forget();
    }
    await this.#end(suspect);
  }

  async close(): Promise<void> {
    const producer = await this.#current?.catch(() => undefined);
    this.#forget();
    if (producer !== undefined) {
      await this.#end(producer);
    }
  }

  #forget(): void {
    this.#current = undefined;
    this.#live = undefined;
  }

  async #open(): Promise<KafkaProducerPort> {
    const producer = await this.create();
    try {
      await within(this.limits.connectMs, producer.connect(), () => {
        throw new SinkError('unavailable', `No broker of Kafka answered within ${this.limits.connectMs} ms.`);
      });
    } catch (error) {
      await this.#end(producer);
      throw error;
    }
    return producer;
  }

  /** A close that hangs must not hold a lane: the sockets are destroyed before it waits. */
  async #end(producer: KafkaProducerPort): Promise<void> {
    await within(this.limits.closeMs, producer.close(), () => undefined);
  }
}
