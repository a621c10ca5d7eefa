/** The page's style sheet. */
import uPlotStyle from "uplot/dist/uPlot.min.css" with { type: "text" };
import { Markup } from "./html.js";

const light = `
  color-scheme: light;
  --page: #f4f6f8;
  --card: #ffffff;
  --sunken: #f7f9fa;
  --ink: #15212b;
  --muted: #566472;
  --line: #dde3e9;
  --training: #0b7a75;
  --training-faint: rgb(11 122 117 / 0.42);
  --tint: #e2f3f1;
  --validation: #c2470f;
  --warning-tint: #fdeee2;
`;

const dark = `
  color-scheme: dark;
  --page: #0e1317;
  --card: #161d23;
  --sunken: #11171c;
  --ink: #e4eaef;
  --muted: #97a5b2;
  --line: #29343d;
  --training: #4fd1c5;
  --training-faint: rgb(79 209 197 / 0.45);
  --tint: #14322f;
  --validation: #ffa05c;
  --warning-tint: #3a2415;
`;

const sheet = `
:root {
  ${light}
}
@media screen and (prefers-color-scheme: dark) {
  :root:not(.printing) {
    ${dark}
  }
}

* {
  box-sizing: border-box;
}
html {
  -webkit-text-size-adjust: 100%;
  text-size-adjust: 100%;
}
body {
  margin: 0;
  background: var(--page);
  color: var(--ink);
  font:
    1rem / 1.55 system-ui,
    -apple-system,
    "Segoe UI",
    Roboto,
    "Liberation Sans",
    sans-serif;
}
header,
main,
footer {
  max-width: 70rem;
  margin: 0 auto;
  padding: 0 1.5rem;
}
header {
  padding-top: 2.25rem;
}
footer {
  padding-top: 1.5rem;
  padding-bottom: 3rem;
  color: var(--muted);
  font-size: 0.875rem;
}
h1,
h2,
h3 {
  line-height: 1.2;
  letter-spacing: -0.015em;
  text-wrap: balance;
  overflow-wrap: anywhere;
}
h1 {
  margin: 0.35rem 0 0;
  font-size: clamp(1.75rem, 1.3rem + 2vw, 2.5rem);
}
h2 {
  margin: 0;
  font-size: 1.4rem;
}
h3 {
  margin: 1.75rem 0 0.6rem;
  font-size: 0.95rem;
  letter-spacing: 0;
}
p {
  margin: 0.5rem 0 0;
  max-width: 68ch;
  overflow-wrap: anywhere;
}
a {
  color: var(--training);
}
a:focus-visible,
summary:focus-visible,
pre:focus-visible {
  outline: 2px solid var(--training);
  outline-offset: 2px;
}
code,
pre {
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
}

.brand {
  color: var(--training);
  font-weight: 650;
  letter-spacing: 0.01em;
}
.lead {
  color: var(--muted);
  font-size: 1.075rem;
}
.chips {
  display: flex;
  flex-wrap: wrap;
  gap: 0.5rem;
  margin: 1.1rem 0 0;
  padding: 0;
  list-style: none;
}
.chips li {
  padding: 0.15rem 0.7rem;
  border: 1px solid var(--line);
  border-radius: 99px;
  background: var(--card);
  color: var(--muted);
  font-size: 0.85rem;
}
.chips b {
  color: var(--ink);
  font-weight: 600;
}

.overview {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr));
  gap: 1rem;
  margin-top: 1.75rem;
}
.overview a {
  display: grid;
  grid-template-columns: auto minmax(2rem, 7.5rem);
  justify-content: space-between;
  align-items: end;
  gap: 0.25rem 1rem;
  padding: 1.1rem 1.25rem;
  border: 1px solid var(--line);
  border-radius: 0.75rem;
  background: var(--card);
  color: inherit;
  text-decoration: none;
}
.overview a:hover {
  border-color: var(--training);
}
.overview .name {
  grid-column: 1 / -1;
  font-weight: 600;
  overflow-wrap: anywhere;
}
.overview .change {
  white-space: nowrap;
  font-size: clamp(1.4rem, 1.1rem + 1.2vw, 1.7rem);
  font-weight: 650;
  letter-spacing: -0.02em;
  line-height: 1.25;
  font-variant-numeric: tabular-nums;
}
.overview .arrow {
  color: var(--muted);
  font-weight: 400;
  padding: 0 0.15em;
}
.overview .what {
  display: block;
  color: var(--muted);
  font-size: 0.85rem;
}
.overview svg {
  width: 100%;
  height: 3rem;
  overflow: visible;
}
.overview polyline {
  fill: none;
  stroke: var(--training);
  stroke-width: 2;
  stroke-linejoin: round;
  vector-effect: non-scaling-stroke;
}

.card {
  margin-top: 1.25rem;
  padding: 1.6rem 1.6rem 1.75rem;
  border: 1px solid var(--line);
  border-radius: 0.9rem;
  background: var(--card);
}
.card > .note {
  color: var(--muted);
}
.chart {
  margin-top: 0.25rem;
  min-height: 340px;
}
.chart .uplot {
  font-family: inherit;
}
.chart .u-legend {
  margin-top: 0.4rem;
  color: var(--muted);
  font-size: 0.85rem;
  text-align: left;
  font-variant-numeric: tabular-nums;
}
.chart .u-legend .u-value {
  min-width: 3.6em;
  color: var(--ink);
}
.chart .u-legend .u-marker {
  print-color-adjust: exact;
  -webkit-print-color-adjust: exact;
  width: 0.85rem;
  height: 0.85rem;
  border-radius: 3px;
}
.chart .u-legend .u-series:first-child .u-marker {
  display: none;
}
.chart .u-legend .u-series:last-child .u-marker {
  border-radius: 50%;
}
.chart .u-legend .u-off > * {
  opacity: 0.4;
}
.chart .u-select {
  background: var(--training-faint);
}
.chart .u-cursor-x,
.chart .u-cursor-y {
  border-color: var(--muted);
}
figure {
  margin: 0;
}
figcaption {
  margin-top: 0.35rem;
  color: var(--muted);
  font-size: 0.85rem;
}

.facts {
  display: grid;
  grid-template-columns: repeat(var(--columns), 1fr);
  margin: 1.4rem 0 0;
  overflow: hidden;
  border: 1px solid var(--line);
  border-radius: 0.6rem;
}
.facts div {
  display: flex;
  flex-direction: column;
  padding: 0.7rem 0.9rem;
  margin: 0 -1px -1px 0;
  border: solid var(--line);
  border-width: 0 1px 1px 0;
}
.facts dt {
  color: var(--muted);
  font-size: 0.8rem;
}
.facts dd {
  margin: 0;
  font-size: 1.1rem;
  font-weight: 600;
  font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere;
}

.samples {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
  gap: 1rem;
}
.sample {
  display: flex;
  flex-direction: column;
  min-width: 0;
  overflow: hidden;
  border: 1px solid var(--line);
  border-radius: 0.6rem;
  background: var(--sunken);
}
.sample h4 {
  margin: 0;
  padding: 0.45rem 0.9rem;
  border-bottom: 1px solid var(--line);
  color: var(--muted);
  font-size: 0.8rem;
  font-weight: 600;
}
.sample pre {
  flex: 1;
  margin: 0;
  padding: 0.8rem 0.9rem 1rem;
  max-height: 26rem;
  overflow: auto;
  font-size: 0.83rem;
  line-height: 1.6;
  white-space: pre-wrap;
  overflow-wrap: anywhere;
}
.sample.after {
  border-color: var(--training);
}
.sample.after h4 {
  border-color: transparent;
  background: var(--tint);
  color: var(--training);
}
.sample.before pre {
  color: var(--muted);
}
.sample mark {
  padding: 0.1em 0.2em;
  border-radius: 3px;
  background: var(--tint);
  color: var(--training);
  font-weight: 700;
}

.verdict {
  display: flex;
  gap: 0.75rem;
  align-items: baseline;
  margin-top: 1rem;
  padding: 0.8rem 1rem;
  border-radius: 0.6rem;
  background: var(--tint);
}
.verdict p {
  margin: 0;
}
.verdict b {
  font-variant-numeric: tabular-nums;
  white-space: nowrap;
}
.verdict .sign {
  color: var(--training);
  font-weight: 700;
}
.verdict.poor {
  background: var(--warning-tint);
}
.verdict.poor .sign {
  color: var(--validation);
}

.data {
  width: 100%;
  margin-top: 0.5rem;
  border-collapse: collapse;
  font-size: 0.925rem;
}
.data :is(th, td) {
  padding: 0.5rem 0.9rem 0.5rem 0;
  border-bottom: 1px solid var(--line);
  text-align: left;
  vertical-align: top;
  overflow-wrap: anywhere;
}
.data tbody tr:last-child > * {
  border-bottom: 0;
}
.data thead th {
  color: var(--muted);
  font-size: 0.8rem;
  font-weight: 600;
}
.data tbody th {
  font-weight: 500;
}
.data .number {
  padding-right: 0;
  text-align: right;
  font-variant-numeric: tabular-nums;
  white-space: nowrap;
}
.data .note {
  display: block;
  color: var(--muted);
  font-weight: 400;
  font-size: 0.875rem;
}
.data.pairs th {
  width: 12rem;
  color: var(--muted);
  font-weight: 400;
}
.data.pairs td {
  white-space: pre-line;
}
.data.losses {
  max-width: 26rem;
}
.options {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 16rem), 1fr));
  gap: 0 2.5rem;
  margin: 0;
  font-size: 0.925rem;
}
.options div {
  display: flex;
  justify-content: space-between;
  gap: 1rem;
  padding: 0.4rem 0;
  border-bottom: 1px solid var(--line);
}
.options dt {
  color: var(--muted);
}
.options dd {
  margin: 0;
  text-align: right;
  overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums;
}
pre.command {
  margin: 0.5rem 0 0;
  padding: 0.8rem 1rem;
  border: 1px solid var(--line);
  border-radius: 0.6rem;
  background: var(--sunken);
  font-size: 0.85rem;
  white-space: pre-wrap;
  overflow-wrap: anywhere;
}
details {
  margin-top: 1.25rem;
}
summary {
  color: var(--muted);
  font-size: 0.9rem;
  cursor: pointer;
  width: fit-content;
}
summary:hover {
  color: var(--ink);
}

@media (max-width: 60rem) {
  .facts {
    grid-template-columns: repeat(3, 1fr);
  }
}
@media (max-width: 40rem) {
  header,
  main,
  footer {
    padding-left: 1rem;
    padding-right: 1rem;
  }
  header {
    padding-top: 1.5rem;
  }
  .card {
    padding: 1.2rem 1rem 1.3rem;
  }
  .facts {
    grid-template-columns: repeat(2, 1fr);
  }
  .data.pairs th {
    width: 7rem;
  }
}

@media print {
  body {
    background: none;
    font-size: 10.5pt;
  }
  header,
  main,
  footer {
    max-width: none;
    padding-left: 0;
    padding-right: 0;
  }
  header {
    padding-top: 0;
  }
  .card {
    padding: 0;
    border: 0;
    margin-top: 2rem;
  }
  .facts,
  .sample,
  .overview a,
  figure,
  tr,
  .verdict {
    break-inside: avoid;
  }
  h2,
  h3 {
    break-after: avoid;
  }
  .sample pre {
    max-height: none;
  }
  .chart .uplot,
  .chart .u-wrap,
  .chart canvas {
    width: 100% !important;
    height: auto !important;
  }
  .chart .u-over,
  .chart .u-under {
    display: none;
  }
  .chart .u-legend.u-inline.u-live th::after {
    content: none;
  }
  .chart .u-legend .u-value,
  .chart .u-legend .u-series:first-child,
  figcaption,
  details:not([open]) {
    display: none;
  }
}
`;

export const style: Markup = new Markup(`${uPlotStyle.trim()}\n${sheet.trim()}`);
