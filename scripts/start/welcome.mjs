/** What is printed when all is up: where, and what to try first. */
export function welcome({ relayUrl, orderUrl, postgresUrl, brokers, adminToken, seconds, hasLocalConsumer }) {
  return `
Millrace is up after ${seconds} s.

  order service   ${orderUrl}/openapi.json
  relay           ${relayUrl}/health/ready   ${relayUrl}/metrics   ${relayUrl}/openapi.json
  PostgreSQL      ${postgresUrl}
  Kafka           ${brokers}

Place an order, and read it back:

  curl -i ${orderUrl}/orders -H 'content-type: application/json' -H "idempotency-key: $(date +%s%N)" \\
    -d '{"customerId":"ada","lines":[{"sku":"book","quantity":2,"unitPriceCents":1250}]}'
  curl '${orderUrl}/orders?customerId=ada'

See its event in Kafka, with Kafka's own consumer (Ctrl-C ends it):

  ${hasLocalConsumer ? localConsumer(brokers) : givenConsumer(brokers)}

Ask the relay about its routes:

  curl -H "authorization: Bearer ${adminToken}" ${relayUrl}/admin/v1/routes

Ctrl-C stops everything.
`;
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
