/** From a run's losses to the columns of a chart. */

export interface LossPoint {
  /** Optimizer steps done when the loss was taken; 0 is the model before training. */
  step: number;
  loss: number;
}

/** Columns over one axis of steps; null where a column has no value. */
export interface Curve {
  steps: number[];
  training: (number | null)[];
  smoothed: (number | null)[];
  validation: (number | null)[];
}

const MAX_POINTS = 2000;
// A standard deviation of a 60th of the run: noise goes, the shape of the curve stays.
const WINDOWS_PER_RUN = 60;

/** The chart's columns, with at most 2000 training points; smoothing sees all of them. */
export function curveOf(losses: readonly LossPoint[], validation: readonly LossPoint[]): Curve {
  const kept = evenlySpaced(losses.length, MAX_POINTS);
  const training = new Map(kept.map((i) => [losses[i].step, chartValue(losses[i].loss)]));
  const smoothed = new Map(kept.map((i) => [losses[i].step, chartValue(smoothedAt(losses, i))]));
  const validated = new Map(validation.map(({ step, loss }) => [step, chartValue(loss)]));
  const steps = [...new Set([...training.keys(), ...validated.keys()])].sort((a, b) => a - b);
  const column = (values: Map<number, number | null>) => steps.map((step) => values.get(step) ?? null);
  return { steps, training: column(training), smoothed: column(smoothed), validation: column(validated) };
}

/** At most `limit` indices below `length`, first and last among them. */
function evenlySpaced(length: number, limit: number): number[] {
  if (length <= limit) return Array.from({ length }, (_, i) => i);
  return Array.from({ length: limit }, (_, i) => Math.round((i * (length - 1)) / (limit - 1)));
}

/** Five digits are more than a screen shows. */
function chartValue(loss: number): number | null {
  return Number.isFinite(loss) ? Number(loss.toPrecision(5)) : null;
}

/**
 * Σ wⱼ·lossⱼ / Σ wⱼ with wⱼ = exp(−(j − i)² / 2σ²) over |j − i| ≤ 3σ. σ grows from 0 at the first point, so the steep
 * start of a curve is not flattened.
 */
export function smoothedAt(losses: readonly LossPoint[], i: number): number {
  const sigma = Math.min(losses.length / WINDOWS_PER_RUN, i / 3);
  const reach = Math.floor(3 * sigma);
  let sum = 0;
  let weights = 0;
  for (let j = Math.max(0, i - reach); j <= Math.min(losses.length - 1, i + reach); j++) {
    if (!Number.isFinite(losses[j].loss)) continue;
    const weight = sigma === 0 ? 1 : Math.exp(-((j - i) ** 2) / (2 * sigma * sigma));
    sum += weight * losses[j].loss;
    weights += weight;
  }
  return sum / weights;
}
