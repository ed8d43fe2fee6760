import { SinkError } from '../transport.errors.js';

/** A client package that an adapter is written for. */
export interface KafkaClientPackage {
  readonly name: string;
  /** The version that the fault suite ran with; another major is refused. */
  readonly version: string;
}

const MISSING: ReadonlySet<unknown> = new Set(['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND']);

/** Imports an optional client; a missing package is a sentence that says what to install. */
export async function loadKafkaClient<Module>(
  { name, version }: KafkaClientPackage,
  load: () => Promise<Module>,
): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    if (typeof error === 'object' && error !== null && MISSING.has(Reflect.get(error, 'code'))) {
      throw new SinkError('configuration', `The package ${name} is not installed: npm install ${name}@${version}.`, {
        cause: error,
      });
    }
    throw error;
  }
}

/** Refuses a client of another major: its errors and its behaviour under faults are not known. */
export function assertClientVersion({ name, version }: KafkaClientPackage, found: unknown): void {
  if (String(found).split('.')[0] !== version.split('.')[0]) {
    throw new SinkError(
      'configuration',
      `The package ${name} is at ${String(found)}, and only its major of ${version} is known to be safe: npm install ${name}@${version}.`,
    );
  }
}

/** `>= 22.22.0 || >= 24.6.0`, what @platformatic/kafka 2 asks for. */
export function assertNodeForPlatformatic(node: string): void {
  const [major = 0, minor = 0] = node.split('.').map(Number);
  const isKnown = major > 24 || (major === 24 && minor >= 6) || (major === 22 && minor >= 22);
  if (!isKnown) {
    throw new SinkError(
      'configuration',
      `@platformatic/kafka needs Node 22.22, 24.6 or later, and this is Node ${node}: use a later Node, or choose kafkajs (MILLRACE_KAFKA_CLIENT=kafkajs, or client: kafkajs in the YAML file).`,
    );
  }
}
