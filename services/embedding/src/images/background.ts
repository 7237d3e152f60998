// What transparent images are laid on.

/** White, as pages and printers have it; told by GetInfo. */
export const background = { r: 255, g: 255, b: 255 } as const;
