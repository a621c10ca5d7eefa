/** What language models that continue a text share. */
import { checkOptions } from "../errors.js";
import type { Embedding } from "../nn/embedding.js";
import { Linear } from "../nn/linear.js";
import { narrow } from "../ops/view.js";
import type { Tensor } from "../tensor.js";
import type { KeyValueCache } from "./cache.js";
import type { PretrainedConfig } from "./config.js";
import { type GenerateOptions, generate } from "./generate.js";
import { checkIds } from "./inputs.js";
import { PretrainedModel } from "./pretrained.js";

export interface CausalForwardOptions {
  /** Earlier tokens' keys and values; `ids` are the tokens after them. */
  cache?: KeyValueCache;
  /** [B, tokens so far], 0 where a token (padding) is not to be seen. */
  attentionMask?: Tensor;
  /** int32 [B, T], each token's place in its text; one after the other if left out. */
  positionIds?: Tensor;
  /** Logits of the last so many tokens only; generation wants one. */
  logitsToKeep?: number;
}

/** The longest text that a model was made for. */
export interface PositionLimit {
  tokens: number;
  /** The field of the config that says so. */
  field: string;
  /** Whether there is nothing to compute with beyond it. */
  hard: boolean;
}

/** A language model that continues texts: logits [B, T, vocab] for token ids [B, T]. */
export abstract class CausalLanguageModel<
  Config extends PretrainedConfig = PretrainedConfig,
> extends PretrainedModel<Config> {
  abstract override forward(ids: Tensor, options?: CausalForwardOptions): Tensor;

  /** @internal */
  abstract get positionLimit(): PositionLimit;

  /** From hidden states to logits, with the embedding's own weight where the config ties them. */
  protected headOver({ numEmbeddings, embeddingDim, weight }: Embedding): Linear {
    const tied = this.config.tie_word_embeddings ? weight : undefined;
    return new Linear(embeddingDim, numEmbeddings, { bias: false, weight: tied });
  }

  /**
   * `ids` and what follows them, computed in evaluation mode; ends after the config's end-of-sequence token unless `stop`
   * says otherwise.
   * Errors: a prompt that is empty or not of the vocabulary; options out of range; more tokens than the model has
   * positions for, where those are learned (where they are computed, it warns, since results get worse).
   */
  generate(ids: ArrayLike<number>, options: GenerateOptions = {}): Promise<number[]> {
    return generate(this, ids, { ...options, stop: options.stop ?? [this.config.eos_token_id ?? []].flat() });
  }
}

const known = ["cache", "attentionMask", "positionIds", "logitsToKeep"];

export function checkCausalInputs(model: string, ids: Tensor, options: CausalForwardOptions, vocabSize: number): void {
  checkOptions(model, options, known);
  checkIds(model, ids, vocabSize);
  const { logitsToKeep = 1 } = options;
  if (!(Number.isInteger(logitsToKeep) && logitsToKeep >= 1 && logitsToKeep <= ids.shape[1])) {
    throw new Error(`${model}: logitsToKeep must be a whole number from 1 to ${ids.shape[1]}, got ${logitsToKeep}`);
  }
}

/** The last `count` tokens of h [B, T, C]. */
export function lastTokens(h: Tensor, count: number = h.shape[1]): Tensor {
  return count === h.shape[1] ? h : narrow(h, 1, h.shape[1] - count, count);
}
