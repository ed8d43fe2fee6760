import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { IS_PUBLIC, ProblemError } from '@millrace/http';
import { ROLE_METADATA } from './access.decorators.js';
import { type AdminRequest } from './admin-request.js';
import { AdminTokens } from './admin-tokens.js';
import { FailedAttempts } from './failed-attempts.js';
import { isAllowed, type Principal, type Role } from './principal.js';

const BEARER = /^Bearer +([\w\-.~+/]+=*) *$/i;

/**
 * Stands before every handler of the application: without `@Public()` a handler needs a bearer token whose role
 * includes the one named by `@RequireRole()`. It hangs on the handlers, not on paths, so no spelling of a path gets
 * around it.
 */
@Injectable()
export class AdminGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly tokens: AdminTokens,
    private readonly failedAttempts: FailedAttempts,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const targets = [context.getHandler(), context.getClass()];
    if (this.reflector.getAllAndOverride<boolean | undefined>(IS_PUBLIC, targets) === true) {
      return true;
    }
    const request = context.switchToHttp().getRequest<AdminRequest>();
    const principal = await this.authenticate(request);
    const role = this.reflector.getAllAndOverride<Role | undefined>(ROLE_METADATA, targets);
    if (role === undefined || !isAllowed(principal, role)) {
      throw new ProblemError('not-allowed', `The role of this token, ${principal.role}, does not allow this.`);
    }
    request.principal = principal;
    return true;
  }

  private async authenticate(request: AdminRequest): Promise<Principal> {
    const { authorization } = request.headers;
    if (authorization === undefined) {
      throw notAuthenticated('Send an admin token as `Authorization: Bearer <token>`.', 'Bearer realm="millrace"');
    }
    const token = BEARER.exec(authorization)?.[1];
    const principal = token === undefined ? undefined : await this.tokens.principalOf(token);
    if (principal === undefined) {
      this.countWrongToken(request.ip ?? 'unknown');
      throw notAuthenticated(
        'This is no admin token of this relay. Send a valid one as `Authorization: Bearer <token>`.',
        'Bearer realm="millrace", error="invalid_token"',
      );
    }
    return principal;
  }

  /** Only after the check: a right token always passes, so nobody can lock its owner out from behind one address. */
  private countWrongToken(address: string): void {
    const lockedForMs = this.failedAttempts.lockedForMs(address);
    if (lockedForMs > 0) {
      const seconds = Math.ceil(lockedForMs / 1_000);
      throw new ProblemError(
        'too-many-requests',
        `Too many wrong tokens came from your address. Try again in ${seconds} s.`,
        { headers: { 'Retry-After': String(seconds) } },
      );
    }
    this.failedAttempts.record(address);
  }
}

function notAuthenticated(detail: string, challenge: string): ProblemError {
  return new ProblemError('not-authenticated', detail, { headers: { 'WWW-Authenticate': challenge } });
}
