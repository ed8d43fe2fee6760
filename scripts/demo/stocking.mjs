import { describe } from './service-client.mjs';

/** Fills the stock and opens the accounts of a plan. Can be repeated for the same plan while nothing was ordered. */
export async function stockUp({ stock, accounts }, { client, urls }) {
  for (const { sku, onHand } of stock) {
    const url = `${urls.inventory}/stock/${sku}`;
    const answer = await client.answer(url, { method: 'PUT', body: { onHand } });
    // 428: an earlier try, of which there was no answer, has made it
    const now = answer.status === 428 ? await client.answer(url) : answer;
    require(now.status === 200 && now.body.onHand === onHand, `article ${sku} was not stocked: ${describe(answer)}`);
  }
  for (const { customerId, balanceCents } of accounts) {
    const url = `${urls.payment}/accounts/${customerId}`;
    const answer = await client.answer(url, { method: 'PUT', body: { balanceCents } });
    require(answer.status === 200, `account ${customerId} was not opened: ${describe(answer)}`);
  }
}

/** The stock and the accounts of a plan as the services tell them now. */
export async function readStock({ stock, accounts }, { client, urls }) {
  const read = async (url) => (await client.answer(url)).body;
  const stockViews = [];
  for (const { sku } of stock) {
    stockViews.push(await read(`${urls.inventory}/stock/${sku}`));
  }
  const accountViews = [];
  for (const { customerId } of accounts) {
    accountViews.push(await read(`${urls.payment}/accounts/${customerId}`));
  }
  return { stockViews, accountViews };
}

function require(isTrue, otherwise) {
  if (!isTrue) {
    throw new Error(otherwise);
  }
}
