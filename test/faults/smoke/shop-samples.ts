import { setTimeout as sleep } from 'node:timers/promises';
import {
  addUp,
  inventoryFiguresSchema,
  orderFiguresSchema,
  paymentFiguresSchema,
  type ThreeServices,
} from '@millrace/contracts';
import { z } from 'zod';
import { type ApiClient } from '../../harness/api-client.js';
import { type Service, SERVICES } from '../../harness/shop.js';
import { withClient } from '../../harness/servers.js';
import { SAMPLE_SQL } from './sample.sql.js';
import { type ShopPlan } from './shop-plan.js';
import { type ShopTruth } from './shop-truth.js';

/** What is sampled, and how it is asked. */
export interface SampleParts {
  readonly plan: ShopPlan;
  readonly truth: ShopTruth;
  readonly client: ApiClient;
  readonly urlOf: (service: Service) => string;
  readonly databaseUrls: Readonly<Record<Service, string>>;
}

const SQL_EVERY_MS = 1_000;
const HTTP_EVERY_MS = 120;
const RULES_EVERY_MS = 10_000;
const RECONNECT_MS = 200;

const pieces = z.int().min(0);
const stockSchema = z
  .object({ received: pieces, onHand: pieces, reserved: pieces, available: pieces, sold: pieces })
  .refine(({ received, onHand, sold }) => onHand === received - sold, 'onHand is not received - sold')
  .refine(({ onHand, reserved, available }) => onHand === reserved + available, 'onHand is not reserved + available');
const accountSchema = z.object({ balanceCents: z.int().min(0) });
const orderSchema = z.object({ status: z.string(), version: z.int().min(1) });
const reportSchema = z.object({
  holds: z.boolean(),
  figures: z.unknown(),
  invariants: z.array(z.object({ name: z.string(), holds: z.boolean().nullable() })),
});

/** Reads stock, balances, orders and sums all the time, also while everything is killed: each reading must be right. */
export class ShopSamples {
  readonly counts = { sql: 0, http: 0, rules: 0 };
  /** Readings that were wrong. */
  readonly problems: string[] = [];
  private readonly finals = new Map<string, string>();
  private readonly working: Promise<void>[] = [];
  private isStopping = false;

  constructor(private readonly parts: SampleParts) {}

  start(): void {
    this.working.push(
      ...SERVICES.map(async (service) => this.readSql(service)),
      this.repeat(HTTP_EVERY_MS, async () => this.readArticle()),
      this.repeat(HTTP_EVERY_MS, async () => this.readAccount()),
      this.repeat(HTTP_EVERY_MS, async () => this.readOrder()),
      this.repeat(RULES_EVERY_MS, async () => this.readRules()),
    );
  }

  async stop(): Promise<void> {
    this.isStopping = true;
    await Promise.all(this.working);
  }

  private async repeat(everyMs: number, look: () => Promise<void>): Promise<void> {
    while (!this.isStopping) {
      await look();
      await sleep(everyMs);
    }
  }

  private async readSql(service: Service): Promise<void> {
    while (!this.isStopping) {
      try {
        await withClient(this.parts.databaseUrls[service], async (client) => {
          while (!this.isStopping) {
            const { rows } = await client.query<{ problem: string }>(SAMPLE_SQL[service]);
            this.counts.sql += 1;
            rows.forEach(({ problem }) => this.problems.push(`${service} database: ${problem}`));
            await sleep(SQL_EVERY_MS);
          }
        });
      } catch {
        await sleep(RECONNECT_MS); // the server was killed on purpose
      }
    }
  }

  private async readArticle(): Promise<void> {
    const sku = anyOf(this.parts.plan.articles)?.sku ?? '';
    await this.readHttp(`${this.parts.urlOf('inventory')}/stock/${sku}`, stockSchema);
  }

  private async readAccount(): Promise<void> {
    const customerId = anyOf(this.parts.plan.customers)?.customerId ?? '';
    await this.readHttp(`${this.parts.urlOf('payment')}/accounts/${customerId}`, accountSchema);
  }

  /** What was accepted is there from then on, and what is final stays as it is. */
  private async readOrder(): Promise<void> {
    const id = anyOf([...this.parts.truth.orders.keys()].slice(-200));
    if (id === undefined) {
      return;
    }
    const order = await this.readHttp(`${this.parts.urlOf('order')}/orders/${id}`, orderSchema);
    const known = this.finals.get(id);
    if (order !== undefined && order.status !== 'pending') {
      this.finals.set(id, order.status);
    }
    if (order !== undefined && known !== undefined && known !== order.status) {
      this.problems.push(`order ${id} was ${known}, and then ${order.status}`);
    }
  }

  private async readHttp<Answer>(url: string, schema: z.ZodType<Answer>): Promise<Answer | undefined> {
    const answer = await this.parts.client.once({ method: 'GET', url });
    if (answer === undefined || answer.status >= 500) {
      return undefined; // it is down, or its database is
    }
    this.counts.http += 1;
    const parsed = schema.safeParse(answer.body);
    if (!parsed.success) {
      this.problems.push(`${url} (${answer.status}): ${answer.text} ${z.prettifyError(parsed.error)}`);
    }
    return parsed.data;
  }

  /** Each service's own rules, and those across the three: effects are read before their causes. */
  private async readRules(): Promise<void> {
    const payment = await this.readReport('payment');
    const inventory = await this.readReport('inventory');
    const order = await this.readReport('order');
    const inventoryAfter = await this.readReport('inventory');
    const paymentAfter = await this.readReport('payment');
    if (!payment || !inventory || !order || !inventoryAfter || !paymentAfter) {
      return;
    }
    const services: ThreeServices = {
      payment: paymentFiguresSchema.parse(payment),
      inventory: inventoryFiguresSchema.parse(inventory),
      order: orderFiguresSchema.parse(order),
      inventoryAfter: inventoryFiguresSchema.parse(inventoryAfter),
      paymentAfter: paymentFiguresSchema.parse(paymentAfter),
    };
    this.counts.rules += 1;
    addUp(services)
      .rules.filter(({ state }) => state === 'broken')
      .forEach(({ name, left, right }) =>
        this.problems.push(
          `across the services, ${name}: ${left.count} ${left.what} (${left.cents}), ${right.count} ${right.what} (${right.cents})`,
        ),
      );
  }

  private async readReport(service: Service): Promise<unknown> {
    const report = await this.readHttp(`${this.parts.urlOf(service)}/invariants`, reportSchema);
    report?.invariants
      .filter(({ holds }) => holds !== true)
      .forEach(({ name }) => this.problems.push(`GET /invariants of ${service}: ${name} does not hold`));
    return report?.figures;
  }
}

/** Any of the list; which one is not part of the run's seed. */
function anyOf<Item>(list: readonly Item[]): Item | undefined {
  return list[Math.floor(Math.random() * list.length)];
}
