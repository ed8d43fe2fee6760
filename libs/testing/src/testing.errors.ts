/** Why a local server or a test database could not be had, or was left in a bad state. */
export type LocalServerErrorCode =
  | 'not_supported'
  | 'java_missing'
  | 'maven_missing'
  | 'maven_failed'
  | 'port_in_use'
  | 'server_failed'
  | 'not_running'
  | 'not_configured'
  | 'left_open'
  | 'consumer_failed';

/** The one error of this lib: a closed code, and a message that says what to do. */
export class LocalServerError extends Error {
  override readonly name = 'LocalServerError';
  readonly code: LocalServerErrorCode;

  constructor(code: LocalServerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
