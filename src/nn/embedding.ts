import { copyInto } from "../copy.js";
import { checkOptions } from "../errors.js";
import { noGrad } from "../graph.js";
import { zeros } from "../ops/create.js";
import { embedding } from "../ops/gather.js";
import { narrow, transpose } from "../ops/view.js";
import { scope } from "../scope.js";
import { empty, type Tensor } from "../tensor.js";
import { AdaptableLayer } from "./delta.js";
import { normal_ } from "./init.js";
import { Parameter } from "./parameter.js";

/** Rows of a table [count, dim] by int32 index, initialized from N(0, 1); row `paddingIdx` starts at zero and gets no gradient. */
export class Embedding extends AdaptableLayer {
  readonly weight: Parameter;
  readonly bias = null;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly paddingIdx: number | undefined;

  constructor(
    readonly numEmbeddings: number,
    readonly embeddingDim: number,
    options: { paddingIdx?: number } = {},
  ) {
    super();
    checkOptions("Embedding", options, ["paddingIdx"]);
    const { paddingIdx } = options;
    this.inFeatures = numEmbeddings;
    this.outFeatures = embeddingDim;
    this.paddingIdx = paddingIdx;
    this.weight = scope(() => {
      const table = normal_(empty([numEmbeddings, embeddingDim]));
      if (paddingIdx !== undefined) copyInto(narrow(table, 0, paddingIdx, 1), zeros([1, embeddingDim]));
      return new Parameter(table);
    });
  }

  override product(ids: Tensor): Tensor {
    return embedding(ids, this.weight, { paddingIdx: this.paddingIdx });
  }

  protected override project(ids: Tensor, a: Tensor): Tensor {
    return embedding(ids, transpose(a, 0, 1), { paddingIdx: this.paddingIdx });
  }

  override weightMatrix(): Tensor {
    return noGrad(() => transpose(this.weight, 0, 1));
  }

  override get isLookup(): boolean {
    return true;
  }

  override get fanInFanOut(): boolean {
    return true;
  }

  protected override describe(): string {
    return `${this.numEmbeddings}, ${this.embeddingDim}`;
  }
}
