/** The outputs of many individuals at once. */
import { ShapeError, showShape } from "../errors.js";
import * as activations from "../nn/activation.js";
import { Sequential } from "../nn/containers.js";
import { Linear } from "../nn/linear.js";
import type { Layer, Module } from "../nn/module.js";
import { add_ } from "../ops/inplace.js";
import { matmul } from "../ops/matmul.js";
import { transpose, unsqueeze } from "../ops/view.js";
import type { Tensor } from "../tensor.js";

/** Activations that take each number, or each row, for itself. */
const elementwise = [
  activations.ReLU,
  activations.SiLU,
  activations.GELU,
  activations.Tanh,
  activations.Sigmoid,
  activations.Identity,
  activations.LeakyReLU,
  activations.ELU,
  activations.Softplus,
  activations.SELU,
  activations.Mish,
  activations.Hardswish,
  activations.Hardsigmoid,
  activations.ReLU6,
  activations.LogSigmoid,
  activations.QuickGELU,
];
const rowwise = [activations.Softmax, activations.LogSoftmax];

/** A model of linear layers and activations, one after the other. */
export class Chain {
  private readonly layers: readonly Layer[];

  constructor(
    private readonly owner: string,
    model: Module,
  ) {
    this.layers = [...layersOf(owner, model)];
  }

  /**
   * The outputs [individuals, rows, out] of inputs [rows, in].
   *
   * @param stacked the parameters of all individuals: [individuals, …]; those that it lacks are common to all
   */
  forward(x: Tensor, stacked: ReadonlyMap<Tensor, Tensor>): Tensor {
    if (x.ndim !== 2)
      throw new ShapeError(`${this.owner}: inputs must have the shape [rows, in], got ${showShape(x.shape)}`);
    return this.layers.reduce((y, layer) => {
      if (!(layer instanceof Linear)) return layer.forward(y);
      const weight = stacked.get(layer.weight) ?? layer.weight;
      const product = matmul(y, transpose(weight, -1, -2));
      if (!layer.bias) return product;
      const bias = stacked.get(layer.bias);
      return add_(product, bias ? unsqueeze(bias, 1) : layer.bias);
    }, x);
  }
}

function* layersOf(owner: string, module: Module): Iterable<Layer> {
  if (module instanceof Sequential) {
    for (const [, layer] of module.fields()) yield* layersOf(owner, layer as Module);
  } else if (isLink(module)) yield module as Layer;
  else {
    throw new Error(
      `${owner}: with batched, the model must be a Sequential of Linear layers and activations, got ${module.constructor.name}`,
    );
  }
}

function isLink(module: Module): boolean {
  if (module instanceof Linear) return module.delta === null;
  if (rowwise.some((kind) => module instanceof kind)) return (module as activations.Softmax).dim === -1;
  return elementwise.some((kind) => module instanceof kind);
}
