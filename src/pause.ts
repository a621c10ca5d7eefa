/** Long work gives way to events now and then, so that a page or server stays responsive. */

const WORK_MS = 12;

/** Resolves at once until about 12 ms have passed since the last pause, then after pending events have run. */
export class Pacer {
  private last: number = performance.now();

  /** Whether `pause` would give way now. */
  get isDue(): boolean {
    return performance.now() - this.last >= WORK_MS;
  }

  async pause(): Promise<void> {
    if (!this.isDue) return;
    await nextTask();
    this.last = performance.now();
  }
}

/** Not `setTimeout`: browsers stretch nested ones to 4 ms, and to a second in background tabs. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === "function") {
      setImmediate(resolve);
      return;
    }
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
