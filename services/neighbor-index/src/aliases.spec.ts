// The file of aliases: whole or refused by name, and bounded.
import { expect, it } from 'vitest';
import { createAliases } from './aliases.js';
import { contractLimits } from './limits.js';
import { createCrashingDisk, losses } from './spec/crashing-disk.js';

const exists = (name: string): boolean => name === 'c' || name === 'd';
const change = (alias: string, collection = 'c') => ({ alias, collection });

it('names the file in which any bit is flipped', async () => {
  const disk = createCrashingDisk();
  await createAliases(disk).update([change('a'), change('b')], exists);
  const bytes = disk.files.get('aliases.json')!;
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const damaged = bytes.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    const aliases = createAliases(createCrashingDisk(new Map([['aliases.json', damaged]])));
    await expect(aliases.load(), `bit ${bit}`).rejects.toMatchObject({
      code: 'DATA_LOSS',
      resource: { type: 'file', name: 'aliases.json' },
    });
  }
});

it.each(losses)('moves aliases together, whenever the disk crashes and whatever it %s', async (loss) => {
  for (let step = 1, crashed = true; crashed; step++) {
    const disk = createCrashingDisk();
    await createAliases(disk).update([change('a'), change('b')], exists);
    const aliases = createAliases(disk);
    await aliases.load();
    disk.crashBefore(step);
    crashed = await aliases.update([change('a', 'd'), change('b', 'd')], exists).then(
      () => false,
      () => true,
    );
    const after = createAliases(disk.afterCrash(loss));
    await after.load();
    const [a, b] = [after.resolve('a'), after.resolve('b')];
    expect(a, `step ${step}`).toBe(b);
    if (!crashed) expect(a).toBe('d');
  }
});

it('refuses more aliases than there may be, and keeps those that there are', async () => {
  const aliases = createAliases(createCrashingDisk());
  const batch = contractLimits.aliasChanges;
  for (let first = 0; first < contractLimits.aliases; first += batch)
    await aliases.update(
      Array.from({ length: batch }, (_, i) => change(`a${first + i}`)),
      exists,
    );
  await expect(aliases.update([change('more')], exists)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  await aliases.update([change('a0', 'd')], exists);
  await aliases.update([change('a1', ''), change('more')], exists);
  expect(aliases.list().length).toBe(contractLimits.aliases);
});
