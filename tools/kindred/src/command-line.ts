// Command lines that are shown to be typed again: a shell reads them as the words that they are made of.

/** Joins `words` as a POSIX shell takes them; a word with a character that it may read otherwise is quoted. */
export function commandLine(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ');
}

/** How to go on with a run by the main job; `configEnv` says where copies of its results go. */
export function resumePretext(runId: string, data: string, configEnv?: string): string {
  const copies = configEnv === undefined ? [] : ['--config-env', configEnv];
  return commandLine(['kindred', 'pretext', '--data', data, '--resume', runId, ...copies]);
}
