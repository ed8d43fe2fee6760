import { describe, expect, it } from '@jest/globals';
import { batchCompression } from './batch-compression.js';

describe('the compression of a batch', () => {
  it('is none where none is wanted', () => {
    expect(batchCompression('none')).toBeUndefined();
  });

  it.each(['lz4', 'snappy'] as const)('refuses %s by name where the client has none', (codec) => {
    expect(() => batchCompression(codec)).toThrow(
      expect.objectContaining({ code: 'configuration', message: expect.stringContaining(`kafkajs has no ${codec}`) }),
    );
  });
});
