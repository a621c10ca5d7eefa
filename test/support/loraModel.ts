/** A small model with every kind of layer that takes an adapter. */
import { F, nn, scope, type Tensor, tensor } from "../../src/index.js";

type Values = Float32Array<ArrayBuffer>;

class Block extends nn.Module {
  readonly q_proj: nn.Linear = new nn.Linear(6, 6);
  readonly v_proj: nn.Linear = new nn.Linear(6, 6, { bias: false });
  readonly c_fc: nn.Conv1D = new nn.Conv1D(6, 8);
  readonly norm: nn.LayerNorm = new nn.LayerNorm(6);
  readonly down_proj: nn.Linear = new nn.Linear(8, 6);

  override forward(x: Tensor): Tensor {
    const h = this.norm.forward(F.mul(F.tanh(this.q_proj.forward(x)), this.v_proj.forward(x)));
    return F.add(x, this.down_proj.forward(F.relu(this.c_fc.forward(h))));
  }
}

export class LoraModel extends nn.Module {
  readonly embed_tokens: nn.Embedding = new nn.Embedding(7, 6);
  readonly layers: nn.ModuleList<Block> = new nn.ModuleList([new Block(), new Block(), new Block()]);
  readonly lm_head: nn.Linear = new nn.Linear(6, 7);

  override forward(ids: Tensor): Tensor {
    let x = this.embed_tokens.forward(ids);
    for (const layer of this.layers) x = layer.forward(x);
    return this.lm_head.forward(x);
  }

  /** The logits of fixed tokens. */
  logits(): Values {
    return scope(() => this.forward(tensor([[0, 3, 6, 1]], { dtype: "int32" })).data<Values>());
  }

  /** A scalar to train on. */
  loss(): Tensor {
    return scope(() =>
      F.crossEntropy(this.forward(tensor([0, 3, 6, 1], { dtype: "int32" })), tensor([3, 6, 1, 2], { dtype: "int32" })),
    );
  }

  /** The values of every tensor of the state dict. */
  values(): Record<string, Values> {
    return scope(() => Object.fromEntries(Object.entries(this.stateDict()).map(([key, t]) => [key, t.data<Values>()])));
  }
}
