/** Whole models: linear layers replaced by quantized ones. */
import { copyInto } from "../copy.js";
import { checkOptions } from "../errors.js";
import { noGrad } from "../graph.js";
import { Conv1D } from "../nn/conv1d.js";
import { AdaptableLayer } from "../nn/delta.js";
import { Linear } from "../nn/linear.js";
import type { Module } from "../nn/module.js";
import { Parameter } from "../nn/parameter.js";
import { sub } from "../ops/binary.js";
import { amax, mean } from "../ops/reduce.js";
import { abs } from "../ops/unary.js";
import { transpose } from "../ops/view.js";
import { scope } from "../scope.js";
import type { Shape } from "../shape.js";
import { Tensor } from "../tensor.js";
import { QuantizedLinear } from "./linear.js";
import { type Scheme, type SchemeName, schemeOf } from "./scheme.js";

/** Names (exact paths or dotted suffixes), a pattern that matches whole paths, or every linear layer but the output head. */
export type QuantizationTargets = readonly string[] | RegExp | "all-linear";

export interface QuantizeModelOptions {
  /** Elements that share a scale, where the scheme's own number is not wanted. */
  blockSize?: number;
  /** What the model is judged by, such as its loss on a text: called before and after, in a scope, without recording. */
  loss?: () => number;
}

export interface LayerReport {
  readonly path: string;
  /** [out, in] */
  readonly shape: Shape;
  /** Of the weight. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Of |W − Ŵ|, the differences to the weight that the codes stand for. */
  readonly maxError: number;
  readonly meanError: number;
}

export interface QuantizationReport {
  readonly scheme: SchemeName;
  readonly layers: readonly LayerReport[];
  /** Of all weights that were quantized. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** bytesAfter / bytesBefore */
  readonly ratio: number;
  readonly maxError: number;
  readonly meanError: number;
  /** What `loss` gave. */
  readonly loss?: { readonly before: number; readonly after: number };
}

/** Names of the layer that computes logits, which is sensitive to rounding and often tied to the embedding. */
const outputHeads = ["lm_head", "classifier", "score"];

/**
 * Replaces linear layers by quantized ones and releases their weights. With `lora.apply` afterwards: QLoRA, Dettmers et
 * al. 2023. To load a quantized model's state dict, quantize a model of the same configuration first.
 * Errors: a target that matches no layer, a layer with an adapter, weights that are not finite, a `loss` that throws or
 * gives no number; the model is then as it was.
 *
 * @param targets by default every linear layer but the output head
 */
export function quantizeModel(
  model: Module,
  scheme: Scheme | SchemeName,
  targets: QuantizationTargets = "all-linear",
  options: QuantizeModelOptions = {},
): QuantizationReport {
  checkOptions("quantizeModel", options, ["blockSize", "loss"]);
  if (!Array.isArray(targets) && !(targets instanceof RegExp) && targets !== "all-linear")
    throw new Error(
      `quantizeModel: targets must be a list of names, a RegExp or "all-linear", got ${JSON.stringify(targets)}`,
    );
  if (options.loss !== undefined && typeof options.loss !== "function")
    throw new Error(`quantizeModel: loss must be a function, got ${typeof options.loss}`);
  const chosen = schemeOf("quantizeModel", scheme);
  const found = findLayers(model, targets);
  const before = options.loss && lossOf(options.loss);
  const replacements = quantizeAll(found, chosen, options.blockSize);
  const layers = replacements.map(({ layer, quantized, paths }) => reportOf(paths[0], layer, quantized));
  for (const { quantized, paths } of replacements) for (const path of paths) model.setSubmodule(path, quantized);
  const after = options.loss && lossOrUndo(options.loss, model, replacements);
  const kept = new Set(model.parameters());
  for (const { layer } of replacements) for (const p of layer.parameters()) if (!kept.has(p)) p.dispose();
  const sum = (of: (report: LayerReport) => number) => layers.reduce((total, report) => total + of(report), 0);
  const sizeOf = ({ shape: [out, inner] }: LayerReport) => out * inner;
  return {
    scheme: chosen.name,
    layers,
    bytesBefore: sum((report) => report.bytesBefore),
    bytesAfter: sum((report) => report.bytesAfter),
    ratio: sum((report) => report.bytesAfter) / sum((report) => report.bytesBefore),
    maxError: Math.max(...layers.map((report) => report.maxError)),
    meanError: sum((report) => report.meanError * sizeOf(report)) / sum(sizeOf),
    ...(before === undefined || after === undefined ? {} : { loss: { before, after } }),
  };
}

function lossOf(loss: () => number): number {
  return noGrad(() =>
    scope(() => {
      const value: unknown = scope(loss);
      if (typeof value !== "number")
        throw new Error(
          `quantizeModel: loss must return a number, got ${value instanceof Tensor ? "a tensor; use item()" : typeof value}`,
        );
      return value;
    }),
  );
}

/** The loss of the quantized model; where there is none, the layers are put back. */
function lossOrUndo(loss: () => number, model: Module, replacements: readonly Replacement[]): number {
  try {
    return lossOf(loss);
  } catch (error) {
    for (const { layer, paths } of replacements) for (const path of paths) model.setSubmodule(path, layer);
    for (const { quantized } of replacements) quantized.dispose();
    throw error;
  }
}

/**
 * Puts layers with the float32 weights that the codes stand for in the place of the quantized ones: what a merged model
 * is written from for others to load.
 * Errors: a layer with an adapter; the model is then as it was.
 */
export function dequantizeModel(model: Module): void {
  const found = new Map<QuantizedLinear, string[]>();
  for (const [path, module] of model.namedModules("", ({ isAdapter }) => !isAdapter)) {
    if (!(module instanceof QuantizedLinear) || path === "") continue;
    if (module.delta)
      throw new Error(`dequantizeModel: ${path} must have no adapter, got one that has; detach it first`);
    found.set(module, [...(found.get(module) ?? []), path]);
  }
  for (const [quantized, paths] of found) {
    const layer = floatLayer(quantized);
    for (const path of paths) model.setSubmodule(path, layer);
    quantized.dispose();
  }
}

function floatLayer(quantized: QuantizedLinear): Linear | Conv1D {
  const { inFeatures, outFeatures, bias } = quantized;
  return noGrad(() =>
    scope(() => {
      const values = quantized.weightMatrix();
      const layer = quantized.fanInFanOut
        ? new Conv1D(inFeatures, outFeatures)
        : new Linear(inFeatures, outFeatures, { bias: bias !== null, weight: new Parameter(values) });
      if (layer instanceof Conv1D) copyInto(layer.weight, transpose(values, 0, 1));
      if (layer.bias && bias) copyInto(layer.bias, bias);
      layer.requiresGrad_(false);
      return layer.train(quantized.training);
    }),
  );
}

interface Replacement {
  readonly layer: AdaptableLayer;
  readonly paths: readonly string[];
  readonly quantized: QuantizedLinear;
}

function quantizeAll(
  found: ReadonlyMap<AdaptableLayer, readonly string[]>,
  scheme: Scheme,
  blockSize: number | undefined,
): Replacement[] {
  const made: Replacement[] = [];
  try {
    for (const [layer, paths] of found) {
      made.push({
        layer,
        paths,
        quantized: atPath(paths[0], () => QuantizedLinear.from(layer, scheme, { blockSize })),
      });
    }
    return made;
  } catch (error) {
    for (const { quantized } of made) quantized.dispose();
    throw error;
  }
}

function atPath<T>(path: string, fn: () => T): T {
  try {
    return fn();
  } catch (error) {
    throw new Error(`quantizeModel: ${path}: ${(error as Error).message}`, { cause: error });
  }
}

function reportOf(path: string, layer: AdaptableLayer, quantized: QuantizedLinear): LayerReport {
  return noGrad(() =>
    scope(() => {
      const error = abs(sub(layer.weightMatrix(), quantized.weightMatrix()));
      return {
        path,
        shape: error.shape,
        bytesBefore: 4 * error.size,
        bytesAfter: quantized.weightBytes,
        maxError: amax(error).item(),
        meanError: mean(error).item(),
      };
    }),
  );
}

/** Linear layers that are not quantized yet, each with every path that leads to it. */
function findLayers(model: Module, targets: QuantizationTargets): Map<AdaptableLayer, string[]> {
  const layers = new Map<AdaptableLayer, string[]>();
  for (const [path, module] of model.namedModules("", ({ isAdapter }) => !isAdapter)) {
    if (!(module instanceof AdaptableLayer) || module.isLookup || !module.isExact || path === "") continue;
    layers.set(module, [...(layers.get(module) ?? []), path]);
  }
  const paths = [...layers.values()].flat();
  const names = [...new Set(paths.map(lastName))].join(", ");
  const choice = names ? `the model's are named ${names}` : "the model has none inside it that is not quantized yet";
  if (Array.isArray(targets)) {
    const idle = targets.filter((name) => !paths.some((path) => matches([name], path)));
    if (idle.length > 0) {
      throw new Error(`quantizeModel: every target must name a linear layer, got ${idle.join(", ")}; ${choice}`);
    }
  }
  const chosen = new Map([...layers].filter(([, paths]) => paths.some((path) => matches(targets, path))));
  if (chosen.size === 0) {
    const given = Array.isArray(targets) ? "an empty list" : targets;
    throw new Error(`quantizeModel: targets must match a linear layer, got ${given}; ${choice}`);
  }
  return chosen;
}

function matches(targets: QuantizationTargets, path: string): boolean {
  if (targets === "all-linear") return !outputHeads.includes(lastName(path));
  if (targets instanceof RegExp) {
    return new RegExp(`^(?:${targets.source})$`, targets.flags.replace(/[gy]/g, "")).test(path);
  }
  return targets.some((name) => path === name || path.endsWith(`.${name}`));
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1);
}
