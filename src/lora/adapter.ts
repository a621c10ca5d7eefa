import type { AdaptableLayer } from "../nn/delta.js";
import type { Module } from "../nn/module.js";
import type { Parameter } from "../nn/parameter.js";
import type { StateDict } from "../stateDict.js";
import { alias, type Tensor } from "../tensor.js";
import { TrainedBiases } from "./biases.js";
import { checkLayer, type LoraConfig, sizeOfAdapter } from "./config.js";
import { LoraDelta } from "./delta.js";
import { findSavedModules, findTargets } from "./targets.js";
import { WholeModules } from "./wholeModules.js";

/** One layer of the model and what is added to its weight. */
export interface AdaptedLayer {
  readonly path: string;
  readonly layer: AdaptableLayer;
  readonly delta: LoraDelta;
}

/** What PEFT puts before the path of every module. */
export const peftPrefix = "base_model.model.";

/** One named adapter: everything it trains, in the model while it is active and beside it otherwise. */
export class Adapter {
  readonly layers: readonly AdaptedLayer[];
  private readonly modules: WholeModules;
  private readonly biases: TrainedBiases;
  private isTrainable = true;

  /**
   * Leaves the model as it is. Errors: whatever cannot be done, before anything is. What was trained elsewhere is taken
   * as it is (`given`): any rank, and names that this model lacks beside those that it has.
   */
  constructor(
    op: string,
    model: Module,
    readonly config: LoraConfig,
    { given = false }: { given?: boolean } = {},
  ) {
    const targets = findTargets(op, model, config, given);
    for (const [path, layer] of targets) {
      if (layer.delta)
        throw new Error(`${op}: a layer must have no adapter yet, got ${path} that has; detach() it first`);
      checkLayer(op, config, path, layer, given);
    }
    const { adapterName, dropout, useDora: dora, initWeights: method } = config;
    const layers: AdaptedLayer[] = [];
    this.layers = layers;
    this.modules = new WholeModules(model, findSavedModules(op, model, config, given));
    const paths = targets.map(([path]) => path);
    this.biases = new TrainedBiases(model, config.biasMode, paths, this.modules.paths);
    try {
      for (const [path, layer] of targets) {
        const { rank, scaling } = sizeOfAdapter(config, path);
        layers.push({
          path,
          layer,
          delta: new LoraDelta(layer, { adapterName, rank, scaling, dropout, dora, method }),
        });
      }
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** Puts the adapter into the model. */
  enter(): void {
    try {
      for (const { layer, delta } of this.layers) delta.enter(layer);
    } catch (error) {
      for (const { layer, delta } of this.layers) delta.leave(layer);
      throw error;
    }
    this.modules.enter();
    this.biases.enter(this.isTrainable);
  }

  /** Takes the adapter out of the model, which is then what it was; or `keeps` what was trained, as merged weights do. */
  leave(keeps = false): void {
    for (const { layer, delta } of this.layers) delta.leave(layer);
    this.modules.leave(keeps);
    this.biases.leave(keeps);
  }

  freeze(): void {
    this.isTrainable = false;
    for (const { delta } of this.layers) delta.requiresGrad_(false);
    this.modules.requiresGrad_(false);
  }

  parameters(): Parameter[] {
    const deltas = this.layers.flatMap(({ delta }) => delta.parameters());
    return [...deltas, ...this.modules.parameters(), ...this.biases.parameters()];
  }

  get trainsBiases(): boolean {
    return this.biases.parameters().length > 0;
  }

  /** Whether it trains more than what is added to weights. */
  get trainsModel(): boolean {
    return this.modules.paths.length > 0 || this.trainsBiases;
  }

  /** The model's own tensors that change for good when the adapter is merged and detached. */
  changedTensors(): [key: string, tensor: Tensor][] {
    const weights = this.layers.flatMap(({ path, layer }) =>
      [...layer.state()]
        .filter(([, tensor]) => tensor !== layer.bias)
        .map(([name, tensor]): [string, Tensor] => [`${path}.${name}`, tensor]),
    );
    return [...weights, ...this.modules.originals()];
  }

  /** The adapter's tensors under PEFT's names. */
  stateDict(): StateDict {
    const adapted = new Set(this.layers.map(({ path }) => `${path}.bias`));
    const nameOfBias = (path: string) => (adapted.has(path) ? path.replace(/bias$/, "base_layer.bias") : path);
    const entries = [
      ...this.layers.flatMap(({ path, layer, delta }) => [
        [`${path}.${factorNames(layer)[0]}`, delta.lora_A] as const,
        [`${path}.${factorNames(layer)[1]}`, delta.lora_B] as const,
        ...(delta.lora_magnitude_vector
          ? [[`${path}.lora_magnitude_vector`, delta.lora_magnitude_vector] as const]
          : []),
      ]),
      ...this.biases.values().map(([path, values]) => [nameOfBias(path), values] as const),
      ...this.modules.values(),
    ];
    return Object.fromEntries(entries.map(([path, values]) => [`${peftPrefix}${path}`, alias(values)]));
  }

  /** Ends the adapter's own tensors, and with the model also what it has taken out of it. */
  dispose(withModel = false): void {
    for (const { delta } of this.layers) delta.dispose();
    this.modules.dispose(withModel);
    this.biases.dispose();
  }
}

/** What PEFT calls A and B. */
export function factorNames({ isLookup }: AdaptableLayer): readonly [string, string] {
  return isLookup ? ["lora_embedding_A", "lora_embedding_B"] : ["lora_A.weight", "lora_B.weight"];
}
