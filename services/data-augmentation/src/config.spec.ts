// What the settings contradict.
import { expect, it } from 'vitest';
import { loadConfig } from './config.js';

it('refuses to start where an image that is allowed would not fit into a call', () => {
  const environment = { KINDRED_DATA_AUGMENTATION_MAX_CALL_PIXELS: '5' };
  expect(() => loadConfig(environment)).toThrow(
    expect.objectContaining({
      code: 'INVALID_ARGUMENT',
      violations: [expect.objectContaining({ field: 'KINDRED_DATA_AUGMENTATION_MAX_CALL_PIXELS' })],
    }) as Error,
  );
  expect(loadConfig({ ...environment, KINDRED_DATA_AUGMENTATION_MAX_IMAGE_PIXELS: '5' }).images).toMatchObject({
    maxImagePixels: 5,
    maxCallPixels: 5,
  });
});
