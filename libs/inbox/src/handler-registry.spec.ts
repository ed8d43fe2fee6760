import { describe, expect, it } from '@jest/globals';
import { defineEvent } from '@millrace/events';
import { Controller, Injectable, Module, Scope } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { z } from 'zod';
import { discoverHandlers, type HandlerRegistry } from './handler-registry.js';
import { HandleEvent } from './index.js';

function contract(type: string): ReturnType<typeof defineEvent<string, typeof schema>> {
  return defineEvent({ type, schemaVersion: 1, aggregate: 'order', key: () => 'k', schema });
}

const schema = z.object({ name: z.string() });
const Placed = contract('order.placed');
const Cancelled = contract('order.cancelled');

@Injectable()
class Stock {
  readonly calls: string[] = [];

  @HandleEvent(Placed)
  async reserve(): Promise<void> {
    this.calls.push('reserve');
    await Promise.resolve();
  }
}

@Controller()
class Payments {
  @HandleEvent(Cancelled)
  async refund(): Promise<void> {
    await Promise.resolve();
  }
}

@Injectable()
class Rival {
  @HandleEvent(Placed)
  async grab(): Promise<void> {
    await Promise.resolve();
  }
}

@Injectable()
class Inherited extends Stock {}

@Injectable({ scope: Scope.REQUEST })
class Scoped {
  @HandleEvent(Placed)
  async late(): Promise<void> {
    await Promise.resolve();
  }
}

@Injectable()
class Plain {
  readonly name = 'plain';
}

@Module({ providers: [Stock] })
class OtherModule {
  readonly name = 'other';
}

type Parts = Parameters<typeof Test.createTestingModule>[0];

async function discover(parts: Parts): Promise<HandlerRegistry> {
  const testing = await Test.createTestingModule(parts).compile();
  try {
    return discoverHandlers(testing.get(ModulesContainer, { strict: false }));
  } finally {
    await testing.close();
  }
}

describe('handler discovery', () => {
  it('refuse a static method, which Nest would never find', () => {
    const mark = HandleEvent(Placed);
    const descriptor = { value: (): Promise<void> => Promise.resolve() };
    expect(() => {
      mark(Stock, 'reserve', descriptor);
    }).toThrow('Stock.reserve');
  });

  it('finds the handlers among providers and controllers, aliases counted once', async () => {
    const registry = await discover({
      controllers: [Payments],
      providers: [Stock, Plain, { provide: 'alias', useExisting: Stock }, { provide: 'nothing', useValue: null }],
    });
    expect(registry.contracts()).toEqual(expect.arrayContaining([Placed, Cancelled]));
    expect(registry.handlerOf('order.placed')?.name).toBe('Stock.reserve');
    expect(registry.handlerOf('order.cancelled')?.name).toBe('Payments.refund');
    expect(registry.handlerOf('order.noted')).toBeUndefined();
  });

  it('finds what a class inherits', async () => {
    const registry = await discover({ providers: [Inherited] });
    expect(registry.handlerOf('order.placed')?.name).toBe('Inherited.reserve');
  });

  it('refuses two handlers for one type and names both', async () => {
    await expect(discover({ providers: [Stock, Rival] })).rejects.toMatchObject({
      code: 'handler_duplicate',
      message: expect.stringMatching(/order\.placed has two handlers, Stock\.reserve and Rival\.grab/),
    });
  });

  it('refuses a class that two modules provide, as each would have its own', async () => {
    await expect(discover({ imports: [OtherModule], providers: [Stock] })).rejects.toMatchObject({
      code: 'handler_duplicate',
    });
  });

  it('refuses an application without a handler', async () => {
    await expect(discover({ providers: [Plain] })).rejects.toMatchObject({ code: 'handler_missing' });
  });

  it('refuses a handler in a request-scoped class', async () => {
    await expect(discover({ providers: [Stock, Scoped] })).rejects.toMatchObject({
      code: 'configuration_invalid',
      message: expect.stringMatching(/Scoped\.late .* request-scoped/),
    });
  });
});
