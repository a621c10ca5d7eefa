/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Who releases what. A tensor belongs to the innermost scope that was running when it was made, unless it is a
 * parameter, a buffer, optimizer state, a gradient (which has its tensor's owner), passed to `keep`, or returned from
 * the scope, when it belongs to the scope around it. When the scope ends, what belongs to it is released.
 */

/** Something that one scope at the most owns. */
export abstract class Owned {
  /** @internal */
  owner: Scope | null = null;
  /** @internal The place in the owner's list. */
  slot = -1;

  abstract dispose(): void;

  /** @internal What it owns itself goes where it goes. */
  abstract follow(owner: Scope | null): void;

  /** @internal It has left the outermost scope: nobody will dispose it but the user. */
  abstract leaveScopes(): void;
}

// Engines without `using` lack the symbol; compilers that lower `using` look for it here.
if (!Symbol.dispose) Object.defineProperty(Symbol, "dispose", { value: Symbol.for("Symbol.dispose") });

let running: Scope | null = null;

/** An owner of tensors for code with `await` in it: what is made inside `run` lives until `close`. */
export class Scope {
  private members: Owned[] = [];
  /** Those of `openScope` that are open; `scope` ends its own before this one can end. */
  private children: Set<Scope> | null = null;
  private open = true;
  private running = 0;

  /** @internal */
  constructor(private readonly parent: Scope | null = running) {}

  /** @internal For code that may leave it open. */
  static opened(): Scope {
    const scope = new Scope();
    const { parent } = scope;
    if (parent) {
      parent.children ??= new Set();
      parent.children.add(scope);
    }
    return scope;
  }

  /** Runs synchronous code whose tensors belong to this scope. */
  run<T>(fn: () => T): T {
    if (!this.open) throw new Error("scope: run must be called before close, got a closed scope");
    const outer = running;
    running = this;
    this.running++;
    try {
      return rejectThenable("scope", fn());
    } finally {
      this.running--;
      running = outer;
    }
  }

  /** Releases what belongs to this scope. Scopes opened inside it must have been closed. Closing twice does nothing. */
  close(): void {
    if (!this.open) return;
    if (this.running > 0) throw new Error("scope: close must be called outside the scope's run, got a call inside");
    const unclosed = this.children?.size ?? 0;
    this.release();
    if (unclosed > 0)
      throw new Error(`scope: inner scopes must be closed first, got ${unclosed} still open (now closed)`);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal Moves every tensor of this scope in `result` to the scope around it. */
  handOver(result: unknown, seen: Set<unknown> = new Set()): void {
    if (result instanceof Owned) {
      if (result.owner !== this) return;
      moveTo(this.parent, result);
      if (!this.parent) result.leaveScopes();
    } else if (Array.isArray(result)) {
      this.handOverEach(result, result, seen);
    } else if (isPlainObject(result)) {
      this.handOverEach(result, Object.values(result), seen);
    }
  }

  private handOverEach(container: unknown, items: readonly unknown[], seen: Set<unknown>): void {
    if (seen.has(container)) return;
    seen.add(container);
    for (const item of items) this.handOver(item, seen);
  }

  /** @internal */
  release(): void {
    this.open = false;
    this.parent?.children?.delete(this);
    for (const child of this.children ?? []) child.release();
    for (let member = this.members.pop(); member; member = this.members.pop()) {
      member.owner = null;
      member.dispose();
    }
  }

  /** @internal */
  adopt(member: Owned): void {
    member.owner = this;
    member.slot = this.members.push(member) - 1;
  }

  /** @internal */
  disown(member: Owned): void {
    const last = this.members.pop() as Owned;
    if (last !== member) {
      this.members[member.slot] = last;
      last.slot = member.slot;
    }
    member.owner = null;
  }
}

/** The scope whose code is running. */
export function currentScope(): Scope | null {
  return running;
}

/** Changes the owner; null is nobody: released by `dispose()` alone. */
export function moveTo(owner: Scope | null, member: Owned): void {
  if (member.owner === owner) return;
  member.owner?.disown(member);
  owner?.adopt(member);
  member.follow(owner);
}

/**
 * Runs `fn` and releases every tensor made in it, except what it returns (also inside arrays and plain objects), which
 * then belongs to the scope around. A promise is an error: use `openScope`.
 */
export function scope<T>(fn: () => T): T {
  const inner = new Scope();
  try {
    const result = inner.run(fn);
    inner.handOver(result);
    return result;
  } finally {
    inner.release();
  }
}

/** A scope for code with `await` in it: `using s = openScope(); s.run(() => …)`. */
export function openScope(): Scope {
  return Scope.opened();
}

/** Takes a tensor out of its scope: it lives until `dispose()`. */
export function keep<T extends Owned>(tensor: T): T {
  moveTo(null, tensor);
  return tensor;
}

/** Returns `result` unless it is a promise: asynchronous code would go on after the scope's or mode's end. */
export function rejectThenable<T>(op: string, result: T): T {
  const then = (result as { then?: unknown } | null | undefined)?.then;
  if (typeof then === "function") {
    Promise.resolve(result).catch(() => {}); // what it rejects with later is answered by the error here
    throw new Error(`${op}: the function must be synchronous, got a promise; use openScope() around awaits`);
  }
  return result;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Releases what the running scope made and nobody has kept: an intermediate result that has been used. */
export function discard(member: Owned): void {
  if (running && member.owner === running) member.dispose();
}
