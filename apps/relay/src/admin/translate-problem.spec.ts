import { describe, expect, it } from '@jest/globals';
import { CaptureError } from '@millrace/capture';
import { RelayError } from '@millrace/relay';
import { SinkError } from '@millrace/transport';
import { translateProblem } from './translate-problem.js';

describe('the problem of a failed command', () => {
  it.each([
    ['no such route', new RelayError('route_unknown', 'x'), 'not-found'],
    ['topics that cannot be shared', new RelayError('shards_unfit', 'x'), 'conflict'],
    ['a route that never ran', new CaptureError('route_unknown', 'x'), 'conflict'],
    ['a source that is away', new CaptureError('database_unavailable', 'x'), 'unavailable'],
    ['a sink that is away', new SinkError('unavailable', 'x'), 'unavailable'],
    ['anything else', new Error('x'), undefined],
  ])('of %s', (_, error, code) => {
    expect(translateProblem(error)?.code).toBe(code);
  });
});
