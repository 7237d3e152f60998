// Which calls are refused unread, and which are read although all queues are full.
import { describe, expect, it } from 'vitest';
import { createOverload } from './overload.js';

const embed = '/kindred.embedding.v1.EmbeddingService/Embed';

describe('overload', () => {
  it('refuses what would wait, with the time that the queues name, and only while they are full', () => {
    let fullForMs: number | null = null;
    const overload = createOverload({ fullForMs: () => fullForMs });
    expect(overload(embed)).toBeNull();
    fullForMs = 70;
    expect(overload(embed)).toMatchObject({ retryAfterMs: 70 });
    expect(overload('/inference.GRPCInferenceService/ModelInfer')).toMatchObject({ retryAfterMs: 70 });
    fullForMs = null;
    expect(overload(embed)).toBeNull();
  });

  it('never refuses what takes no room, or waits for it', () => {
    const overload = createOverload({ fullForMs: () => 70 });
    const others = ['EmbedStream', 'GetInfo', 'LoadModel', 'UnloadModel'].map(
      (name) => `/kindred.embedding.v1.EmbeddingService/${name}`,
    );
    for (const path of [...others, '/inference.GRPCInferenceService/ServerReady', '/grpc.health.v1.Health/Check'])
      expect(overload(path)).toBeNull();
  });

  it('reads one call in 64 all the same: it may ask for a model that is not loaded', () => {
    const overload = createOverload({ fullForMs: () => 70 });
    const read = Array.from({ length: 256 }, () => overload(embed)).filter((refusal) => refusal === null);
    expect(read).toHaveLength(4);
  });
});
