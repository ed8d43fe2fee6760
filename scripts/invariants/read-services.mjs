import { CommandError } from '../setup/command-error.mjs';

/** A service reads everything for its answer, each statement for at most 30 s. */
const ANSWER_TIMEOUT_MS = 120_000;

/**
 * The reports of the three services in the order in which `addUp` needs them: effects before their causes, so the
 * payments and the inventory come twice. `reports` are the newest of each.
 */
export async function readServices(urls) {
  const payment = await readReport('payment', urls.payment);
  const inventory = await readReport('inventory', urls.inventory);
  const order = await readReport('order', urls.order);
  const inventoryAfter = await readReport('inventory', urls.inventory);
  const paymentAfter = await readReport('payment', urls.payment);
  return {
    reports: [order, inventoryAfter, paymentAfter],
    services: {
      payment: payment.figures,
      inventory: inventory.figures,
      order: order.figures,
      inventoryAfter: inventoryAfter.figures,
      paymentAfter: paymentAfter.figures,
    },
  };
}

async function readReport(name, url) {
  const response = await ask(name, url);
  const body = await response.json().catch(() => undefined);
  if (response.status !== 200) {
    throw new CommandError(
      `The ${name} service answers ${response.status}: ${body?.detail ?? 'see its log'} Ask again a little later.`,
    );
  }
  if (body?.service !== name) {
    throw new CommandError(`What answers at ${url.origin} is not the ${name} service: name it with --${name} URL`);
  }
  return body;
}

async function ask(name, url) {
  try {
    return await fetch(new URL('/invariants', url), { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
  } catch (cause) {
    const why = cause.name === 'TimeoutError' ? `within ${ANSWER_TIMEOUT_MS / 1000} s` : 'at all';
    throw new CommandError(
      `The ${name} service does not answer ${why} at ${url.origin}: start it (npm start), or name it with --${name} URL`,
    );
  }
}
