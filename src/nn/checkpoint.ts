import { backward, enableGrad, jointVjps, record } from "../graph.js";
import { zeros } from "../ops/create.js";
import { getRngState, type RngState, setRngState } from "../random.js";
import { scope } from "../scope.js";
import { alias, empty, Tensor } from "../tensor.js";

/**
 * fn(...inputs), of which only the inputs are kept for backward: it computes the rest again, with the same random numbers.
 * Trades time for memory. Tensors that `fn` uses beside its inputs, such as parameters, get their gradients in `.grad`,
 * so take those by `backward`, not by `autograd.grad`.
 * Source: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"; torch.utils.checkpoint
 */
export function checkpoint<Inputs extends readonly unknown[]>(
  fn: (...inputs: Inputs) => Tensor,
  ...inputs: Inputs
): Tensor {
  const rng = getRngState();
  const { y, isRecorded } = scope(() => {
    const result = fn(...inputs);
    return { y: alias(result), isRecorded: result.requiresGrad };
  });
  if (!isRecorded) return y;
  const tensors = inputs.filter((x) => x instanceof Tensor);
  // Stands for what fn uses beside its inputs: backward comes by even if no input wants a gradient.
  const others = empty([0]).requiresGrad_();
  const vjps = jointVjps([others, ...tensors], (dy) => {
    const leaves = tensors.map(leafOf);
    const again = inputs.map((x) => (x instanceof Tensor ? leaves[tensors.indexOf(x)] : x)) as unknown as Inputs;
    backward(
      withRngState(rng, () => enableGrad(() => fn(...again))),
      dy,
    );
    return [empty([0]), ...leaves.map(takeGrad)];
  });
  record("checkpoint", y, [others, ...tensors], tensors, vjps);
  others.dispose();
  return y;
}

/** Another handle on `x`, where a gradient ends. */
function leafOf(x: Tensor): Tensor {
  const leaf = alias(x);
  leaf.requiresGrad = x.requiresGrad;
  return leaf;
}

function takeGrad(leaf: Tensor): Tensor {
  const gradient = leaf.grad ?? zeros(leaf.shape);
  leaf.grad = null;
  return gradient;
}

function withRngState<T>(state: RngState, fn: () => T): T {
  const outer = getRngState();
  setRngState(state);
  try {
    return fn();
  } finally {
    setRngState(outer);
  }
}
