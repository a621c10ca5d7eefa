import { files } from "#files";
import { checkOptions } from "../errors.js";
import { serialize } from "../io/safetensors.js";
import { scope } from "../scope.js";
import { type Callback, type EpochEvent, monitored } from "./callbacks.js";

export interface ModelCheckpointOptions {
  /** A safetensors file; `{epoch}` in it becomes the epoch's number. */
  path: string;
  /** Save only where the validation loss (without validation, the loss) is the lowest so far. */
  bestOnly?: boolean;
}

/** Writes the model's state dict after an epoch. Whatever fails, the file is the old one or the whole new one. */
export class ModelCheckpoint implements Callback {
  private best = Infinity;
  private readonly path: string;
  private readonly bestOnly: boolean;

  constructor(options: ModelCheckpointOptions) {
    checkOptions("ModelCheckpoint", options, ["path", "bestOnly"]);
    if (!options.path) throw new Error(`ModelCheckpoint: path must be the name of a file, got "${options.path}"`);
    this.path = options.path;
    this.bestOnly = options.bestOnly ?? true;
  }

  onStart(): void {
    this.best = Infinity;
  }

  stateDict(): { best: number } {
    return { best: this.best };
  }

  loadStateDict({ best }: { best: number }): void {
    this.best = best;
  }

  async onEpoch(event: EpochEvent): Promise<void> {
    const { model, epoch } = event;
    const loss = monitored(event);
    if (this.bestOnly && !(loss < this.best)) return;
    this.best = loss;
    const bytes = scope(() => serialize(model.stateDict(), { epoch: String(epoch), loss: String(loss) }));
    await files.writeFileAtomic(this.path.replaceAll("{epoch}", String(epoch)), bytes);
  }
}
