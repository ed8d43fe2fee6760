/** What is printed when all is up: where, and what to try first. */
export function welcome({ urls, databases, brokers, adminToken, seconds, hasLocalConsumer }) {
  const { relay, ...services } = urls;
  const places = Object.entries(services).map(
    ([name, url]) => `  ${`${name} service`.padEnd(18)}${url}/openapi.json   ${withoutPassword(databases[name])}`,
  );
  return `
Millrace is up after ${seconds} s.

${places.join('\n')}
  ${'relay'.padEnd(18)}${relay}/openapi.json   ${relay}/health/ready   ${relay}/metrics
${brokers === undefined ? '' : `  ${'Kafka'.padEnd(18)}${brokers}\n`}
${tour(services)}
${brokers === undefined ? seenInDatabase(databases) : seenInKafka(brokers, hasLocalConsumer)}

Ask the relay about its routes, and the services whether stock and money add up:

  curl -H "authorization: Bearer ${adminToken}" ${relay}/admin/v1/routes
  curl ${services.order}/invariants ${services.inventory}/invariants ${services.payment}/invariants

In another terminal, some thousand orders with a live view, and the same while everything is being killed:

  npm run demo
  npm run demo -- --chaos

Ctrl-C stops everything; npm start -- --fresh begins with empty data.
`;
}

function seenInKafka(brokers, hasLocalConsumer) {
  return `Every step was an event. See the order's in Kafka, with Kafka's own consumer (Ctrl-C ends it):

  ${hasLocalConsumer ? localConsumer(brokers) : givenConsumer(brokers)}`;
}

/** Records stay for an hour after all consumers have read them. */
function seenInDatabase({ inventory }) {
  return `Every step was an event, delivered without Kafka. See the order's where inventory has read them:

  psql ${withoutPassword(inventory)} -c "select record_offset, delivered_at, convert_from(record_key, 'utf8') as key,
    convert_from(record_value, 'utf8') as value from millrace.delivery join millrace.delivery_partition using (partition_id)
    where topic = 'outbox.event.order' order by delivered_at"`;
}

/** Stock, money, an order that is confirmed, one that is not. */
function tour({ order, inventory, payment }) {
  const json = "-H 'content-type: application/json'";
  const key = '-H "idempotency-key: $(date +%s%N)"';
  return `Put ten books on the shelf and 100.00 on Ada's account, and order two of the books:

  curl -X PUT ${inventory}/stock/book ${json} -d '{"onHand":10}'
  curl -X PUT ${payment}/accounts/ada ${json} -d '{"balanceCents":10000}'
  curl -i ${order}/orders ${json} ${key} \\
    -d '{"customerId":"ada","lines":[{"sku":"book","quantity":2,"unitPriceCents":1250}]}'

A moment later the order is confirmed, two books are sold and 25.00 are paid:

  curl '${order}/orders?customerId=ada'
  curl ${inventory}/stock/book
  curl ${payment}/accounts/ada

Order 20 books, which there are not, or five at 50.00, which Ada cannot pay: rejected, with the reason, and the stock
is given back. Repeat a POST with the same idempotency key: the same answer, and no second order. A second PUT of the shelf
needs If-Match with the ETag that GET tells, so that it erases no sale.
`;
}

function withoutPassword(text) {
  const url = new URL(text);
  url.password = '';
  return url.toString();
}

function localConsumer(brokers) {
  return `java -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp '.local/kafka/lib/*' \\
    org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server ${brokers} \\
    --topic outbox.event.order --from-beginning --formatter-property print.key=true \\
    --formatter-property print.headers=true`;
}

/** Of the Kafka that was given, of any release: without the options that have changed their names. */
function givenConsumer(brokers) {
  return `kafka-console-consumer.sh --bootstrap-server ${brokers} --topic outbox.event.order --from-beginning`;
}
