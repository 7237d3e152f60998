// Which folders a caller may name: those below the service's data roots, symbolic links resolved.
import { realpath } from 'node:fs/promises';
import { dirname, join, relative, resolve, isAbsolute, basename } from 'node:path';
import { KindredError } from '@kindred/errors';

/** The data roots of a service. */
export interface DatasetRoots {
  /** The roots as absolute paths, the default one first. */
  readonly all: readonly [string, ...string[]];
  /**
   * The absolute path, links resolved, that a request's `root` stands for; empty: the default root.
   * @throws KindredError PERMISSION_DENIED when it lies outside the roots, whether it exists or not.
   */
  resolve(root: string): Promise<string>;
}

/** Makes the check for `roots`; one of them being `/` allows every path. */
export function createDatasetRoots(roots: readonly [string, ...string[]]): DatasetRoots {
  const all = roots.map((root) => resolve(root)) as [string, ...string[]];
  return {
    all,
    async resolve(root) {
      const path = await realPathOf(root === '' ? all[0] : resolve(root));
      for (const allowed of all) {
        if (isBelow(await realPathOf(allowed), path)) return path;
      }
      throw new KindredError(
        'PERMISSION_DENIED',
        `dataset.root: '${root}' lies outside the data roots of this service; allowed: ${all.join(', ')}`,
        {
          violations: [{ field: 'dataset.root', description: `got '${root}'; allowed: paths below ${all.join(', ')}` }],
        },
      );
    },
  };
}

/** Resolves links of the part of `path` that exists: a path that does not exist must not slip past the check by a link. */
async function realPathOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(await realPathOf(parent), basename(path));
  }
}

function isBelow(root: string, path: string): boolean {
  const between = relative(root, path);
  return between === '' || (between !== '..' && !between.startsWith('../') && !isAbsolute(between));
}
