// One side of a comparison: a process that stays, does a round of work when it is told to, and rests in between.

/** What a round took. */
export interface RoundResult {
  /** Time of the work itself, measured by the process that did it. */
  readonly seconds: number;
  /** What came out of it: images, views or pairs; the suite says which. */
  readonly items: number;
}

/** A running side. */
export interface Contestant {
  /** Versions of the libraries that do its work, by name. */
  readonly versions: Readonly<Record<string, string>>;
  /** Does `steps` steps of work; what a step is, the suite says. */
  round(steps: number): Promise<RoundResult>;
  close(): Promise<void>;
}
