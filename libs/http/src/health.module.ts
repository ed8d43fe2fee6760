import { Controller, type DynamicModule, Get, Module, type ModuleMetadata, Res, type Type } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { z } from 'zod';

import { Public } from './public.js';

/** Whether an app can do its work now. */
export interface Readiness {
  readonly isReady: boolean;
  /** Codes in kebab-case that say why not (`database-unreachable`); open to everybody, so no names, no messages. */
  readonly reasons: readonly string[];
}

/**
 * What an app implements to tell whether it is ready. It must tell the truth at the time of the call: an app that is
 * stuck is not ready. A check that throws or takes longer than two seconds counts as not ready.
 */
export abstract class ReadinessPort {
  abstract readiness(): Promise<Readiness>;
}

/** Where `HealthModule` finds the app's `ReadinessPort`. */
export interface HealthOptions {
  /** The modules that offer `readiness`. */
  readonly imports: NonNullable<ModuleMetadata['imports']>;
  /** The class, exported by one of `imports`, that implements `ReadinessPort`. */
  readonly readiness: Type<ReadinessPort>;
}

const CHECK_TIMEOUT_MS = 2000;

const healthSchema = z.object({ status: z.enum(['ok', 'not-ready']), reasons: z.array(z.string()).optional() });

type Health = z.infer<typeof healthSchema>;

/** `GET /health/live`: the process answers. `GET /health/ready`: 200 when the app can work, 503 with reason codes. */
@Public()
@ApiTags('health')
@Controller('health')
class HealthController {
  constructor(private readonly port: ReadinessPort) {}

  @Get('live')
  @ApiOperation({ summary: 'The process is alive' })
  @ApiResponse({ status: 200, description: 'alive', standardSchema: healthSchema })
  live(): Health {
    return { status: 'ok' };
  }

  @Get('ready')
  @ApiOperation({ summary: 'The service can do its work now' })
  @ApiResponse({ status: 200, description: 'ready', standardSchema: healthSchema })
  @ApiResponse({ status: 503, description: 'not ready, with the reasons', standardSchema: healthSchema })
  async ready(@Res({ passthrough: true }) response: Response): Promise<Health> {
    const { isReady, reasons } = await this.checkInTime();
    response.status(isReady ? 200 : 503);
    return isReady ? { status: 'ok' } : { status: 'not-ready', reasons: [...reasons] };
  }

  private async checkInTime(): Promise<Readiness> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Readiness>((resolve) => {
      timer = setTimeout(() => {
        resolve({ isReady: false, reasons: ['check-timed-out'] });
      }, CHECK_TIMEOUT_MS);
    });
    const check = this.port.readiness().catch(() => ({ isReady: false, reasons: ['check-failed'] }));
    return await Promise.race([check, late]).finally(() => {
      clearTimeout(timer);
    });
  }
}

/** `GET /health/live` and `GET /health/ready` over the app's own `ReadinessPort`. */
@Module({})
export class HealthModule {
  static forRoot({ imports, readiness }: HealthOptions): DynamicModule {
    return {
      module: HealthModule,
      imports,
      controllers: [HealthController],
      providers: [{ provide: ReadinessPort, useExisting: readiness }],
    };
  }
}
