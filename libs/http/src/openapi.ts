import { applyDecorators, type INestApplication } from '@nestjs/common';
import { ApiHeader, ApiResponse, DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { z } from 'zod';

import { PROBLEM_MEDIA_TYPE, problemSchema } from './problem.js';

type SchemaObject = NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>[string];

/** Title and version of an app's API, and whether its routes take a bearer token. */
export interface ApiDescription {
  readonly title: string;
  readonly version: string;
  readonly description?: string;
  readonly hasBearerAuth?: boolean;
}

/**
 * The app's OpenAPI 3.1 document. Schemas come from the zod objects of the routes; without the converter the
 * generator would write them in 3.0 form under a 3.1 header.
 */
export function createOpenApiDocument(app: INestApplication, api: ApiDescription): OpenAPIObject {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle(api.title)
    .setVersion(api.version)
    .setDescription(api.description ?? '');
  if (api.hasBearerAuth === true) {
    builder.addBearerAuth({ type: 'http', bearerFormat: 'opaque' });
  }
  const document = SwaggerModule.createDocument(app, builder.build(), {
    standardSchemaConverter: (schema, { schemaType }) =>
      schema instanceof z.ZodType ? { schema: toJsonSchema(schema, schemaType) } : undefined,
  });
  const schemas = { ...document.components?.schemas, Problem: toJsonSchema(problemSchema, 'output') as SchemaObject };
  return { ...document, components: { ...document.components, schemas } };
}

/** Serves the document at `GET /openapi.json`. To be called before the app is initialised. */
export function serveOpenApi(app: INestApplication, api: ApiDescription): void {
  SwaggerModule.setup('openapi', app, () => createOpenApiDocument(app, api), {
    ui: false,
    raw: ['json'],
    jsonDocumentUrl: 'openapi.json',
  });
}

/** Declares the problems that a route can answer with, by status. */
export function ApiProblems(problems: Readonly<Record<number, string>>): MethodDecorator & ClassDecorator {
  return applyDecorators(
    ...Object.entries(problems).map(([status, description]) =>
      ApiResponse({
        status: Number(status),
        description,
        content: { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
      }),
    ),
  );
}

/** Declares the `Idempotency-Key` header of a POST. */
export function ApiIdempotencyKey(): MethodDecorator {
  return ApiHeader({
    name: 'Idempotency-Key',
    required: true,
    description:
      'Chosen by the caller, new for each intent, the same when it is repeated. The first answer is given again for 24 hours.',
    schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[!-~]+$' },
  });
}

/** Declares the `If-Match` header of a PUT. */
export function ApiIfMatch(): MethodDecorator {
  return ApiHeader({
    name: 'If-Match',
    required: false,
    description: 'Required once the resource exists: the ETag of the version that the caller has seen.',
    schema: { type: 'string' },
  });
}

/** Descriptions of the headers that answers carry, for `ApiResponse({ headers })`. */
export const ANSWER_HEADERS = {
  location: { Location: { description: 'the path of the resource', schema: { type: 'string' } } },
  etag: { ETag: { description: 'the version of the resource, for If-Match', schema: { type: 'string' } } },
  consistencyToken: {
    'Consistency-Token': { description: 'for a read that must see this write', schema: { type: 'string' } },
  },
  replayed: {
    'Idempotency-Replayed': { description: 'true when the answer is an earlier one', schema: { type: 'string' } },
  },
} as const;

/** Answers may gain fields, so the document does not forbid unknown ones there; zod writes as if they were sealed. */
function toJsonSchema(schema: z.ZodType, io: 'input' | 'output'): unknown {
  const converted = z.toJSONSchema(schema, {
    target: 'draft-2020-12',
    io,
    override: ({ jsonSchema }) => {
      if (io === 'output' && jsonSchema.additionalProperties === false) {
        delete jsonSchema.additionalProperties;
      }
    },
  });
  return Object.fromEntries(Object.entries(converted).filter(([keyword]) => keyword !== '$schema'));
}
