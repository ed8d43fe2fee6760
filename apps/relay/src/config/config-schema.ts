import { CAPTURE_MODES } from '@millrace/capture';
import { postgresUrl } from '@millrace/http';
import { z } from 'zod';
import { later, mapping, named, oneOf, whole } from './config-values.js';
import { retentionSchema } from './retention-schema.js';
import { routeSchema } from './route-schema.js';
import { sinkSchema } from './sink-schema.js';

/*
 * Each leaf carries, as its error, what should stand there; config-check.ts puts the path and the kind of the value
 * before it. A setting of a later release is refused, never ignored: a route would not do what its file says.
 */

const source = mapping({
  databaseUrl: postgresUrl(),
  capture: oneOf(CAPTURE_MODES).optional(),
  retention: retentionSchema.optional(),
});

/** The YAML file, strict: unknown keys are refused with their path. */
export const configSchema = mapping({
  version: z.literal(1, { error: 'give 1' }),
  sources: named(source, 'source'),
  sinks: named(sinkSchema, 'sink'),
  routes: named(routeSchema, 'route'),
  consumers: later('consumers are not available in this release: remove this'),
  admin: mapping({ port: whole(0, 65_535).optional() }).optional(),
});

/** The file after the check, before the defaults. */
export type ConfigFile = z.infer<typeof configSchema>;
