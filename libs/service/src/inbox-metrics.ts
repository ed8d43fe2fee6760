import { InboxConsumer } from '@millrace/inbox';
import { registerInboxMetrics } from '@millrace/inbox/prometheus';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Registry } from 'prom-client';

/** Puts the metrics of the service's consumer into the registry that `GET /metrics` shows. */
@Injectable()
export class InboxMetrics implements OnModuleInit {
  constructor(
    private readonly registry: Registry,
    private readonly consumer: InboxConsumer,
  ) {}

  onModuleInit(): void {
    registerInboxMetrics(this.registry, this.consumer);
  }
}
