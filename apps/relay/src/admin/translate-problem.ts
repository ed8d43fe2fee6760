import { CaptureError } from '@millrace/capture';
import { ProblemError } from '@millrace/http';
import { RelayError } from '@millrace/relay';
import { SinkError } from '@millrace/transport';

/** The problem that a failed command stands for. The sentences of both errors are written for operators. */
export function translateProblem(error: unknown): ProblemError | undefined {
  if (error instanceof RelayError && (error.code === 'route_not_run' || error.code === 'shards_unfit')) {
    return new ProblemError('conflict', error.message, { cause: error });
  }
  if (error instanceof RelayError && error.code === 'route_unknown') {
    const detail = 'This relay has no route of this name; GET /admin/v1/routes lists all.';
    return new ProblemError('not-found', detail, { cause: error });
  }
  if (error instanceof CaptureError && error.code === 'route_unknown') {
    return new ProblemError('conflict', error.message, { cause: error });
  }
  return error instanceof CaptureError || error instanceof SinkError
    ? new ProblemError('unavailable', error.message, { cause: error, headers: { 'Retry-After': '5' } })
    : undefined;
}
