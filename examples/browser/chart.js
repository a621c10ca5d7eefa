/** The loss curve: one axis of steps through both phases, a color for each. */
import uPlot from "../../node_modules/uplot/dist/uPlot.esm.js";

const HEIGHT = 260;
/** Losses on each side of a smoothed point, once there are enough. */
const REACH = 12;
const FONT = "12px system-ui, sans-serif";
const phases = ["scratch", "finetune"];

export class LossChart {
  /** Columns: step; loss and smoothed loss of each phase; held-out loss. */
  #columns = [[], [], [], [], [], []];
  #planned = 0;
  #steps = 0;
  #borders = [];
  /** Where the points of this run begin. */
  #first = 0;
  #plot;
  #place;
  #waiting = false;

  constructor(place, onPoint) {
    this.#place = place;
    this.#plot = new uPlot(this.#options(onPoint), this.#columns, place);
    new ResizeObserver(() => this.#plot.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#plot.redraw());
  }

  /** A run that begins at this point, or goes on, and has so many steps left. */
  begin(phase, stepsLeft, isNew) {
    this.#planned = this.#steps + stepsLeft;
    if (isNew) {
      if (this.#steps > 0) this.#borders.push({ step: this.#steps, phase });
      this.#push(this.#steps, {});
      this.#first = this.#columns[0].length;
    }
    this.#draw();
  }

  add(phase, loss) {
    const column = 1 + 2 * phases.indexOf(phase);
    this.#push(++this.#steps, { [column]: loss });
    this.#smooth(this.#columns[column], this.#columns[column + 1]);
  }

  /** Belongs to the step added last, or to the beginning of the run. */
  addHeldOut(loss) {
    this.#columns[5][this.#columns[5].length - 1] = loss;
    this.#draw();
  }

  /** Means over as many points on one side as on the other, few near the ends: no lag where the curve is steep. */
  #smooth(losses, smoothed) {
    const last = losses.length - 1;
    for (let i = Math.max(this.#first, last - REACH); i <= last; i++) {
      const reach = Math.min(REACH, last - i, Math.floor((i - this.#first) / 3));
      const near = losses.slice(i - reach, i + reach + 1);
      smoothed[i] = near.reduce((sum, loss) => sum + loss, 0) / near.length;
    }
  }

  clear() {
    for (const column of this.#columns) column.length = 0;
    this.#planned = this.#steps = this.#borders.length = 0;
    this.#draw();
  }

  #push(step, values) {
    for (const [i, column] of this.#columns.entries()) column.push(i === 0 ? step : (values[i] ?? null));
    this.#draw();
  }

  /** Once a frame, however many points came. */
  #draw() {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.#plot.setData(this.#columns);
      this.#place.setAttribute("aria-label", this.#description());
    });
  }

  #description() {
    const losses = this.#columns[1].map((loss, i) => loss ?? this.#columns[3][i]).filter((loss) => loss !== null);
    if (losses.length === 0) return "Loss curve, empty";
    return `Loss curve of ${losses.length} steps, from ${losses[0].toFixed(3)} to ${losses.at(-1).toFixed(3)}`;
  }

  #options(onPoint) {
    const line = { stroke: () => color("line"), width: 1 };
    const axis = { font: FONT, stroke: () => color("muted"), grid: line, ticks: { show: false } };
    const curve = (phase, suffix, width) => ({
      stroke: () => color(phase + suffix),
      width,
      spanGaps: true,
      points: { show: false },
    });
    return {
      width: this.#place.clientWidth,
      height: HEIGHT,
      padding: [12, 14, 0, 0],
      scales: {
        x: { time: false, range: () => [0, Math.max(this.#planned, this.#steps, 10)] },
        y: { range: (_, _min, max) => [0, Math.max(1, 1.05 * (max ?? 5.6))] },
      },
      axes: [
        { ...axis, size: 28 },
        { ...axis, size: 36 },
      ],
      legend: { show: false },
      cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
      series: [
        {},
        ...phases.flatMap((phase) => [curve(phase, "-faint", 1), curve(phase, "", 2.5)]),
        {
          // Points alone: between two of them nothing was measured.
          paths: () => null,
          points: { show: true, size: 8, width: 2, fill: () => color("card"), stroke: () => color("ink") },
        },
      ],
      hooks: {
        draw: [(plot) => this.#drawBorders(plot)],
        setCursor: [({ cursor }) => onPoint(this.#pointAt(cursor.idx))],
      },
    };
  }

  #pointAt(i) {
    if (i === null || i === undefined || this.#columns[0].length === 0) return null;
    const [step, ...values] = this.#columns.map((column) => column[i]);
    return { step, loss: values[0] ?? values[2], heldOut: values[4] };
  }

  /** A line where a phase begins. */
  #drawBorders(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.lineWidth = devicePixelRatio;
    for (const { step, phase } of this.#borders) {
      const x = plot.valToPos(step, "x", true);
      ctx.strokeStyle = color(phase);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }
}

/** Colors come from the style sheet, so the chart follows the color scheme. */
function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
