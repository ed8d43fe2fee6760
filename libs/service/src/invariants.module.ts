import { ApiProblems } from '@millrace/http';
import { Controller, type DynamicModule, Get, Inject, Injectable, Module, type Type } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';

import { checkInvariants } from './check-invariants.js';
import { Database } from './database.js';
import { DatabaseModule } from './database.module.js';
import { type InvariantReport, invariantReportSchema } from './invariant-report.js';
import { SERVICE, type ServiceDefinition } from './service-definition.js';

/** Runs one check at a time; whoever asks meanwhile gets its report too. */
@Injectable()
class InvariantsService {
  private running: Promise<InvariantReport> | undefined;

  constructor(
    private readonly database: Database,
    @Inject(SERVICE) private readonly service: ServiceDefinition,
  ) {}

  async report(): Promise<InvariantReport> {
    this.running ??= checkInvariants(this.database, this.service.name, this.service.invariants).finally(() => {
      this.running = undefined;
    });
    return await this.running;
  }
}

/**
 * `GET /invariants`: figures and rules of the service's whole state, from one snapshot. 200 whether they hold or not,
 * as telling is its work. It reads everything, so it is for operators and tests.
 */
@Module({})
export class InvariantsModule {
  static forRoot(service: ServiceDefinition): DynamicModule {
    return {
      module: InvariantsModule,
      imports: [DatabaseModule],
      controllers: [createController(service)],
      providers: [InvariantsService, { provide: SERVICE, useValue: service }],
    };
  }
}

/** A class per service: the document of its API describes its own figures. */
function createController({ invariants }: ServiceDefinition): Type {
  @ApiTags('invariants')
  @ApiProblems({ 503: 'the database does not answer now' })
  @Controller('invariants')
  class InvariantsController {
    constructor(private readonly service: InvariantsService) {}

    @Get()
    @ApiOperation({ summary: 'Whether the stored state keeps its rules, in numbers; reads everything' })
    @ApiResponse({
      status: 200,
      description: 'the figures and the rules, from one snapshot',
      standardSchema: invariantReportSchema(invariants.figures.schema),
    })
    async report(): Promise<InvariantReport> {
      return await this.service.report();
    }
  }
  return InvariantsController;
}
