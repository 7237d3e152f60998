import { describe, expect, it } from 'vitest';
import {
  fields,
  float32Of,
  bytesOf,
  networkFields,
  readConfig,
  serviceAddressVariable,
  services,
  type ServiceName,
} from './index.js';

describe('configuration', () => {
  it('derives every variable from the service name', () => {
    expect(serviceAddressVariable('neighbor-index')).toBe('KINDRED_NEIGHBOR_INDEX_ADDR');
    for (const name of Object.keys(services) as ServiceName[]) {
      const { schema, read } = networkFields(name);
      expect(read(readConfig({}, schema))).toMatchObject({ host: '127.0.0.1', port: services[name].port });
    }
  });

  it('names each wrong variable, what it holds and what is allowed', () => {
    const { schema } = networkFields('trainer');
    const environment = { KINDRED_TRAINER_PORT: '99999', KINDRED_DRAIN_MS: 'soon', KINDRED_TRAINER_HOST: '' };
    expect(() => readConfig(environment, schema)).toThrow(
      expect.objectContaining({
        code: 'INVALID_ARGUMENT',
        violations: [
          expect.objectContaining({
            field: 'KINDRED_TRAINER_PORT',
            description: expect.stringContaining("'99999'") as string,
          }),
          expect.objectContaining({ field: 'KINDRED_DRAIN_MS' }),
        ],
      }) as Error,
    );
  });

  it('splits paths and freezes', () => {
    const config = readConfig({ ROOTS: '/a:/b' }, { ROOTS: fields.paths() });
    expect(config.ROOTS).toEqual(['/a', '/b']);
    expect(Object.isFrozen(config)).toBe(true);
  });
});

describe('switches', () => {
  it('are 1 or 0', () => {
    const schema = { ON: fields.flag().default(false) };
    expect([{}, { ON: '0' }, { ON: '1' }].map((environment) => readConfig(environment, schema).ON)).toEqual([
      false,
      false,
      true,
    ]);
    expect(() => readConfig({ ON: 'yes' }, schema)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error,
    );
  });
});

describe('wire arrays', () => {
  it('reads what it writes, aligned or not', () => {
    const values = Float32Array.of(1.5, -2);
    const shifted = new Uint8Array(9);
    shifted.set(bytesOf(values), 1);
    expect(float32Of(shifted.subarray(1), 'v')).toEqual(values);
    expect(() => float32Of(new Uint8Array(5), 'vectors')).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error,
    );
  });
});
