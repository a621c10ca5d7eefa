/** Recurrent layers, with PyTorch's parameter names: weight_ih_l0, weight_hh_l0, …, _reverse for the way back. */
import { checkOptions, ShapeError, showShape } from "../errors.js";
import { add } from "../ops/binary.js";
import { zeros } from "../ops/create.js";
import { dropout } from "../ops/dropout.js";
import { linear } from "../ops/linear.js";
import * as ops from "../ops/recurrent.js";
import { cat, select, stack, transpose } from "../ops/view.js";
import { scope } from "../scope.js";
import { sameShape } from "../shape.js";
import { empty, type Tensor } from "../tensor.js";
import { uniform_ } from "./init.js";
import { Module } from "./module.js";
import { Parameter } from "./parameter.js";

export interface RecurrentOptions {
  numLayers?: number;
  bias?: boolean;
  /** Inputs and outputs are [B, T, …]; else [T, B, …]. */
  batchFirst?: boolean;
  /** The probability of an output of a layer below the last to become 0 in training. */
  dropout?: number;
  /** Also walk from the last step to the first; outputs lie side by side. */
  bidirectional?: boolean;
}

/** One direction of one layer: its parameters, and the states it starts from. */
interface Direction {
  readonly inputWeight: Parameter;
  readonly stateWeight: Parameter;
  readonly inputBias?: Parameter;
  readonly stateBias?: Parameter;
  readonly states: readonly Tensor[];
  readonly reverse: boolean;
}

interface Walked {
  /** [T, B, H] */
  output: Tensor;
  /** [B, H] each */
  states: readonly Tensor[];
}

/** Layers of one or two directions over sequences; all parameters start from U(−1/√H, 1/√H). */
abstract class Recurrent extends Module {
  readonly [weight: `weight_${string}`]: Parameter;
  readonly [bias: `bias_${string}`]: Parameter | undefined;
  readonly numLayers: number;
  readonly batchFirst: boolean;
  readonly dropout: number;
  readonly bidirectional: boolean;

  constructor(
    private readonly kind: string,
    gateCount: number,
    private readonly stateCount: number,
    readonly inputSize: number,
    readonly hiddenSize: number,
    options: RecurrentOptions,
  ) {
    super();
    checkOptions(kind, options, ["numLayers", "bias", "batchFirst", "dropout", "bidirectional"]);
    this.numLayers = options.numLayers ?? 1;
    this.batchFirst = options.batchFirst ?? false;
    this.dropout = options.dropout ?? 0;
    this.bidirectional = options.bidirectional ?? false;
    this.checkSizes();
    const rows = gateCount * hiddenSize;
    const bound = 1 / Math.sqrt(hiddenSize);
    const parameter = (...shape: number[]) => scope(() => new Parameter(uniform_(empty(shape), -bound, bound)));
    for (let layer = 0; layer < this.numLayers; layer++) {
      const cols = layer === 0 ? inputSize : hiddenSize * this.suffixes.length;
      for (const suffix of this.suffixes) {
        const own = this as Record<string, unknown>;
        own[`weight_ih_l${layer}${suffix}`] = parameter(rows, cols);
        own[`weight_hh_l${layer}${suffix}`] = parameter(rows, hiddenSize);
        if (options.bias === false) continue;
        own[`bias_ih_l${layer}${suffix}`] = parameter(rows);
        own[`bias_hh_l${layer}${suffix}`] = parameter(rows);
      }
    }
  }

  /** x [T, B, in] in one direction. */
  protected abstract walk(x: Tensor, direction: Direction): Walked;

  /** All layers: `initial` and the result's states are [layers · directions, B, H] each. */
  protected run(x: Tensor, initial: readonly Tensor[] | undefined): Walked {
    this.checkInput(x, initial);
    const p = this.training ? this.dropout : 0;
    return scope(() => {
      let y = this.stepsFirst(x);
      const [, B] = y.shape;
      const ends: (readonly Tensor[])[] = [];
      const starts = initial ?? Array.from({ length: this.stateCount }, () => zeros(this.stateShape(B)));
      for (let layer = 0; layer < this.numLayers; layer++) {
        const below = layer === 0 ? y : dropout(y, { p });
        const walked = this.suffixes.map((suffix) => {
          const states = starts.map((state) => select(state, 0, ends.length));
          const result = this.walk(below, this.direction(layer, suffix, states));
          ends.push(result.states);
          return result.output;
        });
        y = walked.length === 1 ? walked[0] : cat(walked, -1);
      }
      return { output: this.stepsFirst(y), states: starts.map((_, i) => stack(ends.map((states) => states[i]))) };
    });
  }

  protected override describe(): string {
    return `in=${this.inputSize}, hidden=${this.hiddenSize}, layers=${this.numLayers}`;
  }

  private get suffixes(): readonly string[] {
    return this.bidirectional ? ["", "_reverse"] : [""];
  }

  private direction(layer: number, suffix: string, states: readonly Tensor[]): Direction {
    return {
      inputWeight: this[`weight_ih_l${layer}${suffix}`],
      stateWeight: this[`weight_hh_l${layer}${suffix}`],
      inputBias: this[`bias_ih_l${layer}${suffix}`],
      stateBias: this[`bias_hh_l${layer}${suffix}`],
      states,
      reverse: suffix !== "",
    };
  }

  private stateShape(B: number): number[] {
    return [this.numLayers * this.suffixes.length, B, this.hiddenSize];
  }

  /** [T, B, …] from what the user gives, and back. */
  private stepsFirst(x: Tensor): Tensor {
    return this.batchFirst ? transpose(x, 0, 1) : x;
  }

  private checkSizes(): void {
    const { inputSize, hiddenSize, numLayers } = this;
    for (const [name, size] of Object.entries({ inputSize, hiddenSize, numLayers })) {
      if (!(Number.isInteger(size) && size > 0))
        throw new Error(`${this.kind}: ${name} must be a whole number from 1, got ${size}`);
    }
    if (!(this.dropout >= 0 && this.dropout <= 1))
      throw new Error(`${this.kind}: dropout must be from 0 to 1, got ${this.dropout}`);
  }

  private checkInput(x: Tensor, states: readonly Tensor[] | undefined): void {
    const layout = this.batchFirst ? "[B, T" : "[T, B";
    if (x.ndim !== 3 || x.shape[2] !== this.inputSize) {
      throw new ShapeError(`${this.kind}: the input must be ${layout}, ${this.inputSize}], got ${showShape(x.shape)}`);
    }
    const shape = this.stateShape(x.shape[this.batchFirst ? 0 : 1]);
    const odd = states?.find((state) => !sameShape(state.shape, shape));
    if (odd)
      throw new ShapeError(`${this.kind}: states must have shape ${showShape(shape)}, got ${showShape(odd.shape)}`);
  }
}

/** [h, c], each [layers · directions, B, H] */
export type LSTMState = readonly [h: Tensor, c: Tensor];

/**
 * i, f, o = σ(x W_iᵀ + h W_hᵀ + b), g = tanh(…);  c ← f·c + i·g;  h ← o·tanh c. Hochreiter & Schmidhuber 1997;
 * torch.nn.LSTM, with its gates' order i, f, g, o
 */
export class LSTM extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super("LSTM", 4, 2, inputSize, hiddenSize, options);
  }

  /**
   * @param x [T, B, in], or [B, T, in] if `batchFirst`
   * @param state zeros if left out
   * @returns output: h of every step of the last layer, [T, B, directions · H]; state: that of the last step
   */
  override forward(x: Tensor, state?: LSTMState): { output: Tensor; state: LSTMState } {
    const { output, states } = this.run(x, state);
    return { output, state: [states[0], states[1]] };
  }

  protected override walk(x: Tensor, direction: Direction): Walked {
    const { inputWeight, stateWeight, inputBias, stateBias, states, reverse } = direction;
    return scope(() => {
      const gates = linear(x, inputWeight, inputBias && stateBias && add(inputBias, stateBias));
      const { output, h, c } = ops.lstm(gates, stateWeight, states[0], states[1], { reverse });
      return { output, states: [h, c] };
    });
  }
}

/**
 * r, z = σ(x W_iᵀ + b_i + h W_hᵀ + b_h), n = tanh(x W_iᵀ + b_i + r·(h W_hᵀ + b_h));  h ← (1 − z)·n + z·h.
 * Cho et al. 2014; torch.nn.GRU, with its gates' order r, z, n
 */
export class GRU extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super("GRU", 3, 1, inputSize, hiddenSize, options);
  }

  /**
   * @param x [T, B, in], or [B, T, in] if `batchFirst`
   * @param state [layers · directions, B, H]; zeros if left out
   * @returns output: h of every step of the last layer, [T, B, directions · H]; state: that of the last step
   */
  override forward(x: Tensor, state?: Tensor): { output: Tensor; state: Tensor } {
    const { output, states } = this.run(x, state && [state]);
    return { output, state: states[0] };
  }

  protected override walk(x: Tensor, direction: Direction): Walked {
    const { inputWeight, stateWeight, inputBias, stateBias, states, reverse } = direction;
    return scope(() => {
      const gates = linear(x, inputWeight, inputBias);
      const bias = stateBias ?? zeros([stateWeight.shape[0]]);
      const { output, h } = ops.gru(gates, stateWeight, bias, states[0], { reverse });
      return { output, states: [h] };
    });
  }
}
