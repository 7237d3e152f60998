// What a suite is: a name, the question that it answers, and the run that answers it.
import type { Row } from '../report.js';

/** What a suite gets to work with. */
export interface SuiteContext {
  /** Rounds of each side. */
  readonly rounds: number;
  /** Interpreter of the peers' environment. */
  readonly python: string;
  /** Folder of the peers' programs. */
  readonly peers: string;
  /** A folder of the suite's own, removed afterwards. */
  readonly folder: string;
  /** Folder with CIFAR-10's binary files; null: images drawn by formula. */
  readonly dataSource: string | null;
  /** Threads of either side. */
  readonly threads: number;
  /** Training images of an epoch. */
  readonly images: number;
  /** Says how far the suite is. */
  readonly say: (line: string) => void;
}

/** What a suite found. */
export interface SuiteResult {
  readonly rows: readonly Row[];
  /** Versions of the libraries that did the work. */
  readonly versions: Readonly<Record<string, string>>;
}

/** A group of comparisons. */
export interface Suite {
  readonly name: string;
  readonly description: string;
  run(context: SuiteContext): Promise<SuiteResult>;
}
