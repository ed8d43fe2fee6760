import { type CustomDecorator, SetMetadata } from '@nestjs/common';

/** Metadata key of `@Public()`, for the guard of an app that denies by default. */
export const IS_PUBLIC = 'millrace:public';

/** Marks a controller or route that needs no token: health, metrics. It says nothing secret. */
export const Public = (): CustomDecorator => SetMetadata(IS_PUBLIC, true);
