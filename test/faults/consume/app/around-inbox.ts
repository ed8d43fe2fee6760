import type { InboxPort } from '../../../../libs/inbox/src/inbox-port.js';

/** What is put in place of some methods of an inbox; `inner` is the inbox as it was. */
export type Decoration = (inner: InboxPort) => Partial<InboxPort>;

const prototype = await inboxPrototype();

/** Puts a decoration around all inboxes of this process, outside of those that were put around before. */
export function aroundInbox(decorate: Decoration): void {
  const before = copyOf(prototype);
  const decorated = (self: InboxPort): InboxPort => {
    const inner: InboxPort = {
      apply: async (...given) => before.apply.apply(self, given),
      hold: async (...given) => before.hold.apply(self, given),
      openPartition: async (...given) => before.openPartition.apply(self, given),
      saveProgress: async (...given) => before.saveProgress.apply(self, given),
      releaseDue: async (...given) => before.releaseDue.apply(self, given),
      countSetAside: async () => before.countSetAside.apply(self),
      prune: async () => before.prune.apply(self),
      probe: async () => before.probe.apply(self),
    };
    return { ...inner, ...decorate(inner) };
  };
  prototype.apply = async function (this: InboxPort, ...given): ReturnType<InboxPort['apply']> {
    return decorated(this).apply(...given);
  };
  prototype.hold = async function (this: InboxPort, ...given): ReturnType<InboxPort['hold']> {
    return decorated(this).hold(...given);
  };
  prototype.openPartition = async function (this: InboxPort, ...given): ReturnType<InboxPort['openPartition']> {
    return decorated(this).openPartition(...given);
  };
  prototype.saveProgress = async function (this: InboxPort, ...given): ReturnType<InboxPort['saveProgress']> {
    return decorated(this).saveProgress(...given);
  };
}

/** The class is the lib's own affair, so it is looked up beside the lib's entry, wherever that is. */
async function inboxPrototype(): Promise<InboxPort> {
  const module: unknown = await import(new URL('inbox.js', import.meta.resolve('@millrace/inbox')).href);
  const found: unknown = Reflect.get(Object(Reflect.get(Object(module), 'Inbox')), 'prototype');
  if (!isInbox(found)) {
    throw new Error('The inbox has no class `Inbox` with the methods of its port: adapt the fault runs.');
  }
  return found;
}

/** Its methods as they are now. */
function copyOf(inbox: InboxPort): InboxPort {
  const copy: unknown = Object.create(null, Object.getOwnPropertyDescriptors(inbox));
  if (!isInbox(copy)) {
    throw new Error('The methods of the inbox could not be copied.');
  }
  return copy;
}

function isInbox(value: unknown): value is InboxPort {
  return typeof value === 'object' && value !== null && 'apply' in value && 'saveProgress' in value;
}
