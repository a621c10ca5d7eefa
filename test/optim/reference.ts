/** Optimizers in float64, written from the formulas of PyTorch's documentation for one number at a time. */

export interface Options {
  lr: number;
  momentum?: number;
  dampening?: number;
  nesterov?: boolean;
  average?: boolean;
  betas?: readonly [number, number];
  eps?: number;
  amsgrad?: boolean;
  weightDecay?: number;
  l1?: number | { lambda: number; proximal: boolean };
  maximize?: boolean;
}

/** Takes θ and its gradient, returns the new θ. */
export type Step = (theta: number, gradient: number) => number;

function penalized(
  theta: number,
  gradient: number,
  weightDecay: number,
  { l1 = 0, maximize = false }: Options,
): number {
  const lambda = typeof l1 === "number" ? l1 : l1.proximal ? 0 : l1.lambda;
  return (maximize ? -gradient : gradient) + weightDecay * theta + lambda * Math.sign(theta);
}

function proximal(theta: number, { lr, l1 }: Options): number {
  if (typeof l1 !== "object" || !l1.proximal) return theta;
  return Math.sign(theta) * Math.max(Math.abs(theta) - lr * l1.lambda, 0);
}

export function sgd(options: Options): Step {
  const { lr, momentum = 0, dampening = 0, nesterov = false, average = false, weightDecay = 0 } = options;
  let buffer: number | null = average ? 0 : null;
  return (theta, gradient) => {
    const g = penalized(theta, gradient, weightDecay, options);
    if (momentum === 0) return proximal(theta - lr * g, options);
    buffer = buffer === null ? g : momentum * buffer + (average ? 1 - momentum : 1 - dampening) * g;
    return proximal(theta - lr * (nesterov ? g + momentum * buffer : buffer), options);
  };
}

function adaptive(options: Options, coupled: number, decoupled: number): Step {
  const { lr, betas = [0.9, 0.999], eps = 1e-8, amsgrad = false } = options;
  let [t, m, v, largest] = [0, 0, 0, 0];
  return (theta, gradient) => {
    t++;
    const g = penalized(theta, gradient, coupled, options);
    m = betas[0] * m + (1 - betas[0]) * g;
    v = betas[1] * v + (1 - betas[1]) * g * g;
    largest = Math.max(largest, v);
    const correctedM = m / (1 - betas[0] ** t);
    const correctedV = (amsgrad ? largest : v) / (1 - betas[1] ** t);
    return proximal((1 - lr * decoupled) * theta - (lr * correctedM) / (Math.sqrt(correctedV) + eps), options);
  };
}

export function adam(options: Options): Step {
  return adaptive(options, options.weightDecay ?? 0, 0);
}

export function adamW(options: Options): Step {
  return adaptive(options, 0, options.weightDecay ?? 1e-2);
}
