/** The path of a browser that runs. */
export function findBrowser(): Promise<string>;
