/** `data`: datasets, and loaders that give them batch by batch. */
export { type Collated, collate } from "./collate.js";
export { Dataset, Subset, TensorDataset } from "./dataset.js";
export { DataLoader, type DataLoaderOptions, type LoaderState } from "./loader.js";
export { randomSplit } from "./split.js";
