import { describe, expect, it } from '@jest/globals';
import { parseKafkaEnv } from './kafka-config.js';

function problemsOf(env: Record<string, string>): readonly string[] {
  const parsed = parseKafkaEnv(env);
  return parsed.kind === 'invalid' ? parsed.problems : [];
}

describe('the environment for Kafka', () => {
  it('needs no more than the brokers', () => {
    expect(parseKafkaEnv({ KAFKA_BROKERS: 'a:9092, b.example.com:9093', KAFKA_SSL: '', KAFKA_SSL_CA: '' })).toEqual({
      kind: 'valid',
      connection: { brokers: ['a:9092', 'b.example.com:9093'] },
    });
  });

  it('takes TLS with its files, and a user', () => {
    expect(
      parseKafkaEnv({
        KAFKA_BROKERS: 'a:9092',
        KAFKA_SSL: 'true',
        KAFKA_SSL_CA: '/ca.pem',
        KAFKA_SSL_CERT: '/cert.pem',
        KAFKA_SSL_KEY: '/key.pem',
        KAFKA_SSL_REJECT_UNAUTHORIZED: 'false',
        KAFKA_SASL_MECHANISM: 'scram-sha-512',
        KAFKA_SASL_USERNAME: 'relay',
        KAFKA_SASL_PASSWORD: 'hunter2',
      }),
    ).toEqual({
      kind: 'valid',
      connection: {
        brokers: ['a:9092'],
        tls: { caPath: '/ca.pem', certPath: '/cert.pem', keyPath: '/key.pem', rejectUnauthorized: false },
        sasl: { mechanism: 'SCRAM-SHA-512', username: 'relay', password: 'hunter2' },
      },
    });
  });

  it('takes a token', () => {
    expect(
      parseKafkaEnv({ KAFKA_BROKERS: 'a:1', KAFKA_SASL_MECHANISM: 'OAUTHBEARER', KAFKA_SASL_TOKEN: 'abc' }),
    ).toMatchObject({ connection: { sasl: { mechanism: 'OAUTHBEARER', token: 'abc' } } });
  });

  it('takes the path of a token, and not beside a token', () => {
    const bearer = { KAFKA_BROKERS: 'a:1', KAFKA_SASL_MECHANISM: 'OAUTHBEARER' };
    const byFile = { ...bearer, KAFKA_SASL_TOKEN_FILE: '/token' };

    expect(parseKafkaEnv(byFile)).toMatchObject({
      connection: { sasl: { mechanism: 'OAUTHBEARER', tokenPath: '/token' } },
    });
    expect(problemsOf({ ...byFile, KAFKA_SASL_TOKEN: 'hunter2' })).toEqual([
      'KAFKA_SASL_TOKEN and KAFKA_SASL_TOKEN_FILE are both set: give one of them.',
    ]);
    expect(problemsOf(bearer)).toEqual([
      'KAFKA_SASL_TOKEN is not set: KAFKA_SASL_MECHANISM=OAUTHBEARER needs it, or KAFKA_SASL_TOKEN_FILE.',
    ]);
  });

  it('names every problem at once', () => {
    const problems = problemsOf({
      KAFKA_BROKERS: 'kafka://a:9092',
      KAFKA_SSL: 'yes',
      KAFKA_SSL_CA: '/ca.pem',
      KAFKA_SASL_MECHANISM: 'PLAIN',
    });

    expect(problems).toEqual([
      'KAFKA_BROKERS is not valid: give host:port, separated by commas, without a scheme.',
      'KAFKA_SSL is not valid: set it to true or false.',
      'KAFKA_SSL_CA set without TLS: set KAFKA_SSL=true, or remove it.',
      'KAFKA_SASL_USERNAME is not set: KAFKA_SASL_MECHANISM=PLAIN needs it.',
      'KAFKA_SASL_PASSWORD is not set: KAFKA_SASL_MECHANISM=PLAIN needs it.',
    ]);
  });

  it.each(['a', 'a:', ':9092', 'a:0', 'a:65536', 'a:b', 'user:secret@a:9092', ' , '])(
    'refuses "%s" as brokers',
    (brokers) => {
      expect(problemsOf({ KAFKA_BROKERS: brokers })).toHaveLength(1);
    },
  );

  it('demands the brokers', () => {
    expect(problemsOf({})).toEqual(['KAFKA_BROKERS is not set: give the brokers as host:port, separated by commas.']);
  });

  it('demands a certificate and its key together', () => {
    expect(problemsOf({ KAFKA_BROKERS: 'a:1', KAFKA_SSL: 'true', KAFKA_SSL_CERT: '/c.pem' })[0]).toContain(
      'KAFKA_SSL_CERT and KAFKA_SSL_KEY belong together',
    );
  });

  it('never shows a secret', () => {
    const problems = problemsOf({
      KAFKA_SASL_MECHANISM: 'GSSAPI',
      KAFKA_SASL_PASSWORD: 'hunter2',
      KAFKA_SASL_TOKEN: 'hunter2',
    });
    const others = problemsOf({ KAFKA_SASL_PASSWORD: 'hunter2' });

    expect([...problems, ...others].join()).toContain('PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER');
    expect([...problems, ...others].join()).not.toContain('hunter2');
  });
});
