// Retention: which objects a store need not keep, by rules about prefixes; looked at first, done only when asked.
import { isKindredError } from '@kindred/errors';
import type { ArtifactDescription, ArtifactStore } from './artifact-store.js';

/** What is kept of the objects below a prefix. An object goes only when every limit that the rule names allows it. */
export interface RetentionRule {
  /** The longest prefix that an object's key begins with decides about it. */
  readonly prefix: string;
  /** Keep this many of the newest. @default 0, where `maxAgeMs` is set; else all are kept */
  readonly keepNewest?: number;
  /** Keep what is not older, in milliseconds. @default nothing, where `keepNewest` is set; else all is kept */
  readonly maxAgeMs?: number;
}

/** Options of {@link applyRetention}. */
export interface RetentionOptions {
  /** Only say what would go. @default true */
  readonly dryRun?: boolean;
  /** @default now */
  readonly now?: Date;
}

/** What went, or would go. */
export interface RetentionResult {
  readonly removed: readonly ArtifactDescription[];
  /** Bytes of them. */
  readonly removedBytes: number;
  /** Objects below the rules' prefixes that stay. */
  readonly kept: number;
}

/** Applies rules to a store. What no rule is about stays; what is replaced meanwhile stays, too. */
export async function applyRetention(
  store: Pick<ArtifactStore, 'list' | 'delete'>,
  rules: readonly RetentionRule[],
  { dryRun = true, now = new Date() }: RetentionOptions = {},
): Promise<RetentionResult> {
  const removed: ArtifactDescription[] = [];
  let kept = 0;
  for (const rule of rules) {
    const own: ArtifactDescription[] = [];
    for await (const found of store.list(rule.prefix)) if (ruleOf(rules, found.key) === rule) own.push(found);
    own.sort((a, b) => Number(b.modifyTime) - Number(a.modifyTime) || (a.key < b.key ? 1 : -1));
    for (const [rank, object] of own.entries()) {
      if (!mayGo(rule, rank, Number(now) - Number(object.modifyTime))) kept++;
      else if (dryRun || (await removeUnchanged(store, object))) removed.push(object);
      else kept++;
    }
  }
  return { removed, removedBytes: removed.reduce((sum, { size }) => sum + size, 0), kept };
}

function ruleOf(rules: readonly RetentionRule[], key: string): RetentionRule | undefined {
  const about = rules.filter(({ prefix }) => key.startsWith(prefix));
  return about.sort((a, b) => b.prefix.length - a.prefix.length)[0];
}

function mayGo({ keepNewest, maxAgeMs }: RetentionRule, rank: number, ageMs: number): boolean {
  if (keepNewest === undefined && maxAgeMs === undefined) return false;
  return rank >= (keepNewest ?? 0) && ageMs > (maxAgeMs ?? -1);
}

async function removeUnchanged(
  store: Pick<ArtifactStore, 'delete'>,
  { key, etag }: ArtifactDescription,
): Promise<boolean> {
  try {
    await store.delete(key, { ifMatch: etag });
    return true;
  } catch (thrown) {
    if (isKindredError(thrown, 'ABORTED')) return false;
    throw thrown;
  }
}
