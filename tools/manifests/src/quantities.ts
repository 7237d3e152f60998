// Quantities of Kubernetes as numbers: `500m` of a core, `4Gi` of memory.

const units: Readonly<Record<string, number>> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** Cores, bytes or a count. @throws Error for a text that is no quantity. */
export function quantity(text: string | number): number {
  const [, number = '', unit = ''] = /^([0-9.]+)([A-Za-z]*)$/.exec(String(text)) ?? [];
  const factor = units[unit];
  if (number === '' || factor === undefined)
    throw new Error(`got '${text}'; allowed: a number with a unit such as m, Mi, Gi`);
  return Number(number) * factor;
}
