import { type Readiness, ReadinessPort } from '@millrace/http';
import { InboxConsumer } from '@millrace/inbox';
import { Injectable } from '@nestjs/common';

import { DatabaseReadiness } from './database-readiness.js';

/** Ready while the database is fit and the consumer applies events, or would if there were any. */
@Injectable()
export class ServiceReadiness extends ReadinessPort {
  constructor(
    private readonly database: DatabaseReadiness,
    private readonly consumer: InboxConsumer,
  ) {
    super();
  }

  override async readiness(): Promise<Readiness> {
    const { reasons: consumerReasons } = this.consumer.status();
    const { reasons } = await this.database.readiness();
    const all = [...reasons, ...consumerReasons];
    return { isReady: all.length === 0, reasons: all };
  }
}
