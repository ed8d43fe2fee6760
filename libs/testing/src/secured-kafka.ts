import { execFileSync, spawnSync } from 'node:child_process';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Admin, alterUserScramCredentialsV0, type Connection, ScramMechanisms } from '@platformatic/kafka';
import { freePort } from './free-port.js';
import { javaProgram } from './java.js';
import { LocalKafka } from './local-kafka.js';
import { LocalServerError } from './testing.errors.js';

const STORE_PASSWORD = 'changeit';
const ITERATIONS = 4_096;

/** The listeners of a `SecuredKafka`: TLS, TLS that wants a certificate of the client, logins without and with TLS. */
export const SECURED_LISTENERS = ['TLS', 'MUTUAL', 'USER', 'USERTLS'] as const;
export type SecuredListener = (typeof SECURED_LISTENERS)[number];

/** A real broker that asks who is there. Its user is `relay`, by PLAIN and SCRAM, or any token with a time to live. */
export class SecuredKafka {
  readonly password = 'correct horse';
  readonly directory = mkdtempSync(join(tmpdir(), 'millrace-secured-'));
  readonly #ports = new Map<SecuredListener | 'PLAINTEXT', number>();
  #kafka: LocalKafka | undefined;

  /** The certificate of the broker, which is its own authority; a client may show it, too, with `keyPath`. */
  get caPath(): string {
    return join(this.directory, 'ca.pem');
  }

  get keyPath(): string {
    return join(this.directory, 'key.pem');
  }

  brokersOf(listener: SecuredListener | 'PLAINTEXT'): readonly string[] {
    return [`127.0.0.1:${this.#ports.get(listener) ?? 0}`];
  }

  async start(): Promise<void> {
    this.#makeCertificate();
    for (const listener of ['PLAINTEXT', ...SECURED_LISTENERS] as const) {
      this.#ports.set(listener, await freePort());
    }
    const port = this.#ports.get('PLAINTEXT');
    const controllerPort = await freePort();
    this.#kafka = new LocalKafka({
      dataDir: join(this.directory, 'data'),
      port,
      controllerPort,
      isQuickStart: true,
      temporaryDir: this.directory,
      settings: this.#settings(controllerPort),
    });
    await this.#kafka.start();
    await this.#addScramUsers();
  }

  async stop(): Promise<void> {
    await this.#kafka?.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** A token without a signature, which is enough for a broker of tests; `seconds` is its time to live. */
  tokenFor(seconds: number): string {
    const now = Math.floor(Date.now() / 1_000);
    const [header = '', claims = ''] = [{ alg: 'none' }, { sub: 'relay', iat: now - 10, exp: now + seconds }].map(
      (part) => Buffer.from(JSON.stringify(part)).toString('base64url'),
    );
    return `${header}.${claims}.`;
  }

  #settings(controllerPort: number): Record<string, string> {
    const clientListeners = [...this.#ports].map(([name, port]) => `${name}://127.0.0.1:${port}`).join(',');
    const store = join(this.directory, 'broker.p12');
    const settings = new Map<string, string>();
    for (const name of ['tls', 'mutual', 'usertls']) {
      settings.set(`listener.name.${name}.ssl.keystore.location`, store);
      settings.set(`listener.name.${name}.ssl.keystore.password`, STORE_PASSWORD);
    }
    for (const name of ['user', 'usertls']) {
      for (const [mechanism, module] of Object.entries(this.#loginModules())) {
        settings.set(
          `listener.name.${name}.${mechanism}.sasl.jaas.config`,
          `org.apache.kafka.common.security.${module};`,
        );
      }
    }
    return {
      ...Object.fromEntries(settings),
      listeners: `${clientListeners},CONTROLLER://127.0.0.1:${controllerPort}`,
      'advertised.listeners': clientListeners,
      'listener.security.protocol.map':
        'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,TLS:SSL,MUTUAL:SSL,USER:SASL_PLAINTEXT,USERTLS:SASL_SSL',
      'listener.name.mutual.ssl.client.auth': 'required',
      'listener.name.mutual.ssl.truststore.location': join(this.directory, 'trust.p12'),
      'listener.name.mutual.ssl.truststore.password': STORE_PASSWORD,
      'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
      // a token that expires ends its connections
      'connections.max.reauth.ms': '3600000',
    };
  }

  #loginModules(): Readonly<Record<string, string>> {
    return {
      plain: `plain.PlainLoginModule required user_relay="${this.password}"`,
      'scram-sha-256': 'scram.ScramLoginModule required',
      'scram-sha-512': 'scram.ScramLoginModule required',
      oauthbearer: 'oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="x"',
    };
  }

  #makeCertificate(): void {
    const program = join(dirname(javaProgram()), 'keytool');
    const keytool = (...options: readonly string[]): void => {
      execFileSync(program, [...options, '-storepass', STORE_PASSWORD], { stdio: 'ignore' });
    };
    const store = ['-keystore', join(this.directory, 'broker.p12'), '-alias', 'broker'];
    const name = ['-dname', 'CN=broker', '-ext', 'SAN=ip:127.0.0.1', '-validity', '2'];
    keytool('-genkeypair', '-storetype', 'PKCS12', '-keyalg', 'RSA', ...name, ...store);
    keytool('-exportcert', '-rfc', '-file', this.caPath, ...store);
    const trust = ['-keystore', join(this.directory, 'trust.p12'), '-storetype', 'PKCS12', '-noprompt'];
    keytool('-importcert', '-file', this.caPath, '-alias', 'client', ...trust);
    // of keytool nobody gets a private key; without openssl there is no client certificate to show
    const pkcs12 = ['pkcs12', '-in', join(this.directory, 'broker.p12'), '-nodes', '-nocerts', '-out', this.keyPath];
    spawnSync('openssl', [...pkcs12, '-passin', `pass:${STORE_PASSWORD}`], { stdio: 'ignore' });
  }

  async #addScramUsers(): Promise<void> {
    const admin = new Admin({ clientId: 'test', bootstrapBrokers: [...this.brokersOf('PLAINTEXT')], retries: 3 });
    try {
      const [connection] = (await admin.connectToBrokers()).values();
      if (connection === undefined) {
        throw new LocalServerError('server_failed', 'Kafka names no broker.');
      }
      await this.#addScramUser(connection, ScramMechanisms.SCRAM_SHA_256, 32);
      await this.#addScramUser(connection, ScramMechanisms.SCRAM_SHA_512, 64);
    } finally {
      await admin.close();
    }
  }

  async #addScramUser(connection: Connection, mechanism: 1 | 2, bytes: 32 | 64): Promise<void> {
    const salt = randomBytes(16);
    const digest = bytes === 32 ? 'sha256' : 'sha512';
    const saltedPassword = pbkdf2Sync(this.password, salt, ITERATIONS, bytes, digest);
    const user = { name: 'relay', mechanism, iterations: ITERATIONS, salt, saltedPassword };
    await alterUserScramCredentialsV0.api.async(connection, [], [user]);
  }
}
