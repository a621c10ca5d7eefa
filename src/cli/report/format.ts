/** Numbers as people read them. */

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });

/** 824448 → "824,448"; 0.125 → "0.13" */
export function formatCount(value: number): string {
  return Number.isFinite(value) ? grouped.format(value) : String(value);
}

/** 1536 → "1.5 KiB" */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${formatCount(bytes)} ${bytes === 1 ? "byte" : "bytes"}`;
  const units = ["KiB", "MiB", "GiB"];
  let value = bytes / 1024;
  // What rounds to 1024.0 belongs to the next unit.
  while (units.length > 1 && value >= 1023.95) {
    value /= 1024;
    units.shift();
  }
  return `${value.toFixed(1)} ${units[0]}`;
}

/** 0.82 → "820 ms", 8.25 → "8.3 s", 72 → "1 min 12 s", 7500 → "2 h 5 min" */
export function formatDuration(seconds: number): string {
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return twoUnits(Math.floor(whole / 60), "min", whole % 60, "s");
  const minutes = Math.round(seconds / 60);
  return twoUnits(Math.floor(minutes / 60), "h", minutes % 60, "min");
}

function twoUnits(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** 9.47 → "9.5%", 0.0312 → "0.03%" */
export function formatPercent(percent: number): string {
  return `${Number(percent.toFixed(Math.abs(percent) < 1 ? 2 : 1))}%`;
}

/** Three decimals, or a power of ten where they would say nothing. */
export function formatLoss(loss: number): string {
  if (!Number.isFinite(loss)) return String(loss);
  return loss !== 0 && (Math.abs(loss) < 0.001 || Math.abs(loss) >= 1e5) ? formatPower(loss) : loss.toFixed(3);
}

const SUPERSCRIPTS: Record<string, string> = {
  "-": "⁻",
  0: "⁰",
  1: "¹",
  2: "²",
  3: "³",
  4: "⁴",
  5: "⁵",
  6: "⁶",
  7: "⁷",
  8: "⁸",
  9: "⁹",
};

/** 4.77e-7 → "4.8 × 10⁻⁷" */
export function formatPower(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const [mantissa, exponent] = value.toExponential(1).split("e");
  return `${mantissa} × 10${exponent.replace("+", "").replace(/[-\d]/g, (digit) => SUPERSCRIPTS[digit])}`;
}

/** "20 November 2026, 21:57 UTC" */
export function formatDate(date: Date): string {
  const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
  return `${day}, ${date.toISOString().slice(11, 16)} UTC`;
}
