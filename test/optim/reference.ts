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
  lrDecay?: number;
  alpha?: number;
  centered?: boolean;
  rho?: number;
  momentumDecay?: number;
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

export function adagrad(options: Options): Step {
  const { lr, lrDecay = 0, eps = 1e-10, weightDecay = 0 } = options;
  let [t, sum] = [0, 0];
  return (theta, gradient) => {
    const g = penalized(theta, gradient, weightDecay, options);
    const rate = lr / (1 + t++ * lrDecay);
    sum += g * g;
    return proximal(theta - (rate * g) / (Math.sqrt(sum) + eps), options);
  };
}

export function rmsprop(options: Options): Step {
  const { lr, alpha = 0.99, eps = 1e-8, momentum = 0, centered = false, weightDecay = 0 } = options;
  let [v, mean, buffer] = [0, 0, 0];
  return (theta, gradient) => {
    const g = penalized(theta, gradient, weightDecay, options);
    v = alpha * v + (1 - alpha) * g * g;
    mean = alpha * mean + (1 - alpha) * g;
    buffer = momentum * buffer + g / (Math.sqrt(centered ? v - mean * mean : v) + eps);
    return proximal(theta - lr * buffer, options);
  };
}

export function adadelta(options: Options): Step {
  const { lr, rho = 0.9, eps = 1e-6, weightDecay = 0 } = options;
  let [squares, changes] = [0, 0];
  return (theta, gradient) => {
    const g = penalized(theta, gradient, weightDecay, options);
    squares = rho * squares + (1 - rho) * g * g;
    const change = (Math.sqrt(changes + eps) / Math.sqrt(squares + eps)) * g;
    changes = rho * changes + (1 - rho) * change * change;
    return proximal(theta - lr * change, options);
  };
}

export function nadam(options: Options): Step {
  const { lr, betas = [0.9, 0.999], eps = 1e-8, momentumDecay = 4e-3, weightDecay = 0 } = options;
  const momentum = (t: number) => betas[0] * (1 - 0.5 * 0.96 ** (t * momentumDecay));
  let [t, m, v, product] = [0, 0, 0, 1];
  return (theta, gradient) => {
    t++;
    const g = penalized(theta, gradient, weightDecay, options);
    product *= momentum(t);
    m = betas[0] * m + (1 - betas[0]) * g;
    v = betas[1] * v + (1 - betas[1]) * g * g;
    const now = (1 - momentum(t)) / (1 - product);
    const next = momentum(t + 1) / (1 - product * momentum(t + 1));
    const root = Math.sqrt(v / (1 - betas[1] ** t)) + eps;
    return proximal(theta - (lr * (now * g + next * m)) / root, options);
  };
}

export function lion(options: Options): Step {
  const { lr, betas = [0.9, 0.99], weightDecay = 0 } = options;
  let m = 0;
  return (theta, gradient) => {
    const g = penalized(theta, gradient, 0, options);
    const direction = Math.sign(betas[0] * m + (1 - betas[0]) * g);
    m = betas[1] * m + (1 - betas[1]) * g;
    return proximal((1 - lr * weightDecay) * theta - lr * direction, options);
  };
}
