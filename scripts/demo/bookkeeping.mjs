const FINDINGS_MAX = 20;

/**
 * What the demo itself knows: every order that was accepted and what became of it, and from that what every article and
 * every account must show in the end. Whatever does not fit is a finding.
 */
export class Bookkeeping {
  /** Accepted orders that are not known to be final, by id: what was ordered, when it was accepted. */
  open = new Map();
  counts = { accepted: 0, confirmed: 0, rejected: 0, cancelled: 0 };
  repeats = { same: 0, refused: 0 };
  cancels = { taken: 0, late: 0 };
  reasons = new Map();
  /** Milliseconds from the first try to place an order until it was seen to be final. */
  latenciesMs = [];
  #stock;
  #balances;
  #findings = [];
  #findingCount = 0;

  constructor({ stock, accounts }) {
    this.#stock = new Map(stock.map(({ sku, onHand }) => [sku, { received: onHand, sold: 0 }]));
    this.#balances = new Map(accounts.map(({ customerId, balanceCents }) => [customerId, balanceCents]));
  }

  accepted(id, order) {
    this.counts.accepted += 1;
    this.open.set(id, order);
  }

  /** The cancellation of an order was accepted (`isTaken`), or was too late; the outcome may be known before that. */
  cancelAnswered(id, order, isTaken) {
    order.isCancelTaken = isTaken;
    this.cancels[isTaken ? 'taken' : 'late'] += 1;
    this.#checkCancel(id, order);
  }

  delivered({ sku, quantity }) {
    this.#stock.get(sku).received += quantity;
  }

  deposited({ customerId, amountCents }) {
    this.#balances.set(customerId, this.#balances.get(customerId) + amountCents);
  }

  /** An order was seen in a state that it keeps. */
  final(id, { status, reason, totalCents }, nowMs) {
    const order = this.open.get(id);
    this.open.delete(id);
    this.counts[status] += 1;
    this.latenciesMs.push(nowMs - order.placedMs);
    if (status === 'confirmed') {
      this.#confirmed(id, order, totalCents);
    } else if (status === 'rejected') {
      this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1);
    }
    order.status = status;
    this.#checkCancel(id, order);
  }

  finding(text) {
    this.#findingCount += 1;
    if (this.#findings.length < FINDINGS_MAX) {
      this.#findings.push(text);
    }
  }

  get findings() {
    const more = this.#findingCount - this.#findings.length;
    return more === 0 ? this.#findings : [...this.#findings, `... and ${more} more`];
  }

  /** What does not yet, or never will, agree with the orders' outcomes: one line each. */
  differences(stockViews, accountViews) {
    return [
      ...stockViews.flatMap((view) => this.#differencesOfStock(view)),
      ...accountViews
        .filter(({ customerId, balanceCents }) => this.#balances.get(customerId) !== balanceCents)
        .map(({ customerId, balanceCents }) => {
          return `account ${customerId} has ${balanceCents} cents, and its orders leave ${this.#balances.get(customerId)}`;
        }),
    ];
  }

  #confirmed(id, { body }, totalCents) {
    let sum = 0;
    for (const { sku, quantity, unitPriceCents } of body.lines) {
      sum += quantity * unitPriceCents;
      this.#stock.get(sku).sold += quantity;
    }
    if (sum !== totalCents) {
      this.finding(`order ${id} costs ${totalCents} cents, and its lines ${sum}`);
    }
    this.#balances.set(body.customerId, this.#balances.get(body.customerId) - sum);
  }

  #checkCancel(id, { status, cancelAfterMs, isCancelTaken }) {
    const isUndecided = status === undefined || (cancelAfterMs !== undefined && isCancelTaken === undefined);
    if (!isUndecided && (isCancelTaken === true) !== (status === 'cancelled')) {
      const answer = { undefined: 'not asked for', true: 'accepted', false: 'refused' }[isCancelTaken];
      this.finding(`the cancellation of order ${id} was ${answer}, and the order is ${status}`);
    }
  }

  #differencesOfStock({ sku, received, onHand, reserved, available, sold }) {
    const expected = this.#stock.get(sku);
    const wanted = {
      received: expected.received,
      sold: expected.sold,
      reserved: 0,
      onHand: expected.received - expected.sold,
      available: expected.received - expected.sold,
    };
    const seen = { received, sold, reserved, onHand, available };
    return Object.keys(wanted)
      .filter((field) => seen[field] !== wanted[field])
      .map((field) => `article ${sku} has ${field} ${seen[field]}, and its orders leave ${wanted[field]}`);
  }
}

/** The value below which this share of the sorted list lies. */
export function percentile(sorted, share) {
  return sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
}
