import { StandardSchemaValidationPipe } from '@nestjs/common';
import { type StandardSchemaV1 } from '@standard-schema/spec';

import { ProblemError, type ProblemIssue } from './http.errors.js';

/** A body of 64 KiB can break a rule thousands of times; the first ones are enough to mend it. */
const ISSUES_MAX = 20;
const PATH_LENGTH_MAX = 200;
const MESSAGE_LENGTH_MAX = 300;

/**
 * The pipe that checks every parameter declared with a Standard Schema (`@Body({ schema })`, `@Query({ schema })`,
 * `@Param({ schema })`), and hands on what the schema returns. A violation is the problem `invalid-request` with
 * `errors: [{ path, message }]`. Whether unknown fields are refused is the schema's word (`z.strictObject`).
 */
export function createValidationPipe(): StandardSchemaValidationPipe {
  return new StandardSchemaValidationPipe({
    exceptionFactory: (issues) =>
      new ProblemError('invalid-request', detailOf(issues.length), { errors: toProblemIssues(issues) }),
  });
}

/** The issues of a Standard Schema as a problem tells them: dotted path, message, at most twenty. */
export function toProblemIssues(issues: readonly StandardSchemaV1.Issue[]): ProblemIssue[] {
  return issues.slice(0, ISSUES_MAX).map((issue) => ({
    path: pathOf(issue).slice(0, PATH_LENGTH_MAX),
    message: issue.message.slice(0, MESSAGE_LENGTH_MAX),
  }));
}

function pathOf(issue: StandardSchemaV1.Issue): string {
  return (issue.path ?? []).map((segment) => String(typeof segment === 'object' ? segment.key : segment)).join('.');
}

function detailOf(count: number): string {
  const shown = count > ISSUES_MAX ? `; the first ${ISSUES_MAX} are listed` : '';
  return `${count} ${count === 1 ? 'rule is' : 'rules are'} broken${shown}. See errors.`;
}
