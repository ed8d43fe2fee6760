import { createParamDecorator, type CustomDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import { type AdminRequest } from './admin-request.js';
import { type Principal, type Role } from './principal.js';

/** Metadata key of the role that a handler demands. */
export const ROLE_METADATA = 'millrace:role';

/** The role that a caller needs; a handler that names none is refused to everybody. */
export const RequireRole = (role: Role): CustomDecorator => SetMetadata(ROLE_METADATA, role);

/** Who is calling, for the audit row. */
export const Caller = createParamDecorator((_data: unknown, context: ExecutionContext): Principal => {
  const { principal } = context.switchToHttp().getRequest<AdminRequest>();
  if (principal === undefined) {
    throw new Error('@Caller() stands in a handler that the admin guard does not protect');
  }
  return principal;
});
