/** What a browser without a window, a graphics card and a network needs. */
export const browserFlags: readonly string[];

/** The path of a browser that runs. */
export function findBrowser(): Promise<string>;
