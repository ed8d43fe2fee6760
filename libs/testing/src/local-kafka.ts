import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './free-port.js';
import { javaProgram } from './java.js';
import { answersMetadata } from './kafka-admin.js';
import { kafkaClassPath } from './kafka-libraries.js';
import { kafkaSettings, type KafkaVoter, propertiesText } from './kafka-properties.js';
import { ServerProcess } from './server-process.js';
import { LocalServerError } from './testing.errors.js';

/** Which broker to run, and where. */
export interface LocalKafkaOptions {
  /** Made by the first start; a later start with the same folder finds the same data. */
  readonly dataDir: string;
  /** A free one is taken when this is left out; it stays the same over restarts. */
  readonly port?: number | undefined;
  readonly controllerPort?: number | undefined;
  /** What clients are told to connect to: the port of a fault proxy before this broker. */
  readonly advertisedPort?: number | undefined;
  /** Broker settings that go above the defaults. */
  readonly settings?: Readonly<Record<string, string | number>> | undefined;
  /** For a cluster of several: this node's id and all voters with their controller ports. */
  readonly cluster?: { readonly nodeId: number; readonly voters: readonly KafkaVoter[] } | undefined;
  /** Megabytes of Java heap; 400 when left out. */
  readonly heapMb?: number | undefined;
  /** Compiles less at run time: starts faster and carries less load. For tests. */
  readonly isQuickStart?: boolean | undefined;
  /** A folder to remove, with all in it, when the process that started the server ends without having stopped it. */
  readonly temporaryDir?: string | undefined;
}

const CLUSTER_ID = 'bWlsbHJhY2UtbG9jYWwtMQ';
const READY_TIMEOUT_MS = 180_000;
const QUICK_JVM = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];
const STEADY_JVM = ['-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20'];

/**
 * A real Apache Kafka in KRaft mode on 127.0.0.1: one node, or one of several. Topics are not made by themselves. It
 * ends with the process that started it, however that one ends.
 */
export class LocalKafka {
  private readonly options: LocalKafkaOptions;
  private chosenPort: number | undefined;
  private chosenControllerPort: number | undefined;
  private server: ServerProcess | undefined;

  constructor(options: LocalKafkaOptions) {
    this.options = options;
    this.chosenPort = options.port;
    this.chosenControllerPort = options.controllerPort;
  }

  /** The broker's own port (not the advertised one); known from the first start on. */
  get port(): number {
    if (this.chosenPort === undefined) {
      throw new LocalServerError('not_running', 'Kafka has not been started: call start() first.');
    }
    return this.chosenPort;
  }

  /** Addresses for a client: the advertised port, where there is one. */
  get brokers(): string[] {
    return [`127.0.0.1:${this.options.advertisedPort ?? this.port}`];
  }

  get pid(): number {
    return this.runningServer().pid;
  }

  get isRunning(): boolean {
    return this.server?.isRunning ?? false;
  }

  /** Where the server writes its log. */
  get logFile(): string {
    return `${this.options.dataDir}.log`;
  }

  /** Resolves when the broker answers a metadata request and is in the cluster; at once if it is running. */
  async start(): Promise<void> {
    if (this.isRunning) {
      return;
    }
    const java = javaProgram();
    const classPath = await kafkaClassPath();
    this.chosenPort ??= await freePort();
    this.chosenControllerPort ??= await freePort();
    const properties = this.writeProperties(this.chosenPort, this.chosenControllerPort);
    this.format(java, classPath, properties);
    const jvm = this.options.isQuickStart === true ? QUICK_JVM : STEADY_JVM;
    this.server = await ServerProcess.spawn({
      title: 'Kafka',
      command: java,
      args: [
        `-Xmx${this.options.heapMb ?? 400}m`,
        '-Xms64m',
        ...jvm,
        ...LOGGING,
        '-cp',
        classPath,
        'kafka.Kafka',
        properties,
      ],
      logFile: this.logFile,
      stopSignal: 'SIGTERM',
      removeAfter: this.options.temporaryDir,
    });
    const address = `127.0.0.1:${this.chosenPort}`;
    await this.server.ready(async () => answersMetadata(address), READY_TIMEOUT_MS);
  }

  /** Stops the broker in order and waits until its port is free; nothing happens when it is not running. */
  async stop(): Promise<void> {
    await this.server?.signal('SIGTERM');
    this.server = undefined;
  }

  /** SIGKILL; `start()` recovers the logs. */
  async kill(): Promise<void> {
    await this.runningServer().signal('SIGKILL');
    this.server = undefined;
  }

  /** Resolves when the broker has ended, for whatever reason: to the signal or exit code; at once if it is not running. */
  async exited(): Promise<string | undefined> {
    return this.server?.exited;
  }

  private writeProperties(port: number, controllerPort: number): string {
    const nodeId = this.options.cluster?.nodeId ?? 1;
    const settings = kafkaSettings({
      nodeId,
      port,
      controllerPort,
      advertisedPort: this.options.advertisedPort,
      voters: this.options.cluster?.voters ?? [{ nodeId, controllerPort }],
      dataDir: this.options.dataDir,
      settings: this.options.settings,
    });
    mkdirSync(this.options.dataDir, { recursive: true });
    const file = `${this.options.dataDir}.properties`;
    writeFileSync(file, propertiesText(settings));
    return file;
  }

  private format(java: string, classPath: string, properties: string): void {
    if (existsSync(join(this.options.dataDir, 'meta.properties'))) {
      return;
    }
    const tool = [...QUICK_JVM, ...LOGGING, '-cp', classPath, 'kafka.tools.StorageTool'];
    const answer = spawnSync(java, [...tool, 'format', '-t', CLUSTER_ID, '-c', properties], { encoding: 'utf8' });
    if (answer.status !== 0) {
      const why = answer.error?.message ?? answer.stderr;
      throw new LocalServerError('server_failed', `Kafka could not format ${this.options.dataDir}: ${why}`);
    }
  }

  private runningServer(): ServerProcess {
    if (this.server?.isRunning !== true) {
      throw new LocalServerError('not_running', 'Kafka is not running: call start() first.');
    }
    return this.server;
  }
}

const LOGGING = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-Dorg.slf4j.simpleLogger.showDateTime=true'];
