/** Models in the layout of Hugging Face directories: config.json and safetensors, whole or in shards. */
import { checkOptions } from "../errors.js";
import { noGrad } from "../graph.js";
import { locate } from "../io/hub.js";
import { Conv1D } from "../nn/conv1d.js";
import { Embedding } from "../nn/embedding.js";
import { normal_, withoutRandomValues } from "../nn/init.js";
import { Linear } from "../nn/linear.js";
import { Module } from "../nn/module.js";
import { type Parameter, wholeOrNothing } from "../nn/parameter.js";
import { zero_ } from "../ops/inplace.js";
import { narrow } from "../ops/view.js";
import { scope } from "../scope.js";
import type { PretrainedConfig } from "./config.js";
import { type LoadOptions, type ModelSource, normalizeSource, readConfig, readWeights } from "./files.js";
import { type SaveOptions, type WrittenFiles, writePretrained } from "./write.js";

/** What a class of models says about its files. */
export interface FileLayout {
  /** `model_type` of a config that has none. */
  modelType: string;
  /** transformers' name of the class. */
  architecture: string;
  /** The base model's name, which the keys of a file may have in front where the model's lack it, or lack. */
  prefix: string;
  /** Keys of a file that are no weights of this model. */
  ignored: RegExp;
  /** Paths of layers for one task on top of the base model: `newHead` starts them anew. */
  heads?: RegExp;
}

/** A model that Hugging Face directories are read into and written from. */
export abstract class PretrainedModel<Config extends PretrainedConfig = PretrainedConfig> extends Module {
  constructor(readonly config: Config) {
    super();
  }

  /** @internal */
  abstract get layout(): FileLayout;

  /**
   * Reads config.json and the weights from a directory, an address, a set of files or, where "org/name" is no directory,
   * the Hugging Face hub (`io.fromHub` has its options), in evaluation mode as transformers does: call `train()` to have
   * dropout act.
   * Errors: a config whose fields this version lacks; every missing, unexpected and mis-shaped key at once; a file that
   * is absent, cut off or corrupted; memory that does not hold the model. Then nothing is left in memory.
   */
  static async fromPretrained<M extends PretrainedModel, Config extends object>(
    this: new (
      config: Config,
    ) => M,
    source: ModelSource,
    options: LoadOptions<Config> = {},
  ): Promise<M> {
    checkOptions("fromPretrained", options, ["onProgress", "signal", "config", "newHead"]);
    const found = await locate(normalizeSource(source), "config.json", { signal: options.signal });
    const config = { ...(await readConfig<Config>(found)), ...options.config };
    const model = wholeOrNothing(() => withoutRandomValues(() => new this(config)));
    try {
      await readWeights(model, found, model.layout, options);
      if (options.newHead) model.initialize(model.layout.heads);
    } catch (error) {
      model.dispose();
      throw error;
    }
    return model.eval();
  }

  /**
   * config.json and model.safetensors (or shards and their index), as transformers loads them, tied weights once; written
   * to the folder `dir` where one is given, in place of the weights that it holds.
   */
  savePretrained(dir?: string, options: SaveOptions = {}): Promise<WrittenFiles> {
    checkOptions("savePretrained", options, ["maxShardBytes"]);
    const { architecture, modelType } = this.layout;
    const { dtype: _, ...config } = this.config as Config & { dtype?: unknown }; // what was stored before
    const facts = { architectures: [architecture], torch_dtype: "float32" };
    return writePretrained(this, { model_type: modelType, ...config, ...facts }, dir, options);
  }

  /** Weights from N(0, std²), biases and padding rows zero, as Hugging Face initializes; of the layers at `paths` only. */
  protected initialize(paths: RegExp = /./): void {
    const seen = new Set<Parameter>(); // a tied weight is drawn once
    for (const [path, module] of this.namedModules()) {
      if (!paths.test(path) || !(module instanceof Linear || module instanceof Conv1D || module instanceof Embedding))
        continue;
      if (seen.has(module.weight)) continue;
      seen.add(module.weight);
      normal_(module.weight, 0, this.initialDeviation(path));
      if (!(module instanceof Embedding)) module.bias?.fillWith(0);
      else if (module.paddingIdx !== undefined) zeroRow(module, module.paddingIdx);
    }
  }

  /** The standard deviation of the weights of the layer at `path`. */
  protected initialDeviation(_path: string): number {
    return this.config.initializer_range ?? 0.02;
  }
}

function zeroRow({ weight }: Embedding, row: number): void {
  noGrad(() => scope(() => void zero_(narrow(weight, 0, row, 1))));
}
