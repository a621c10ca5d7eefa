export * from "./attention";
export * from "./binary";
export * from "./copy";
export * from "./half";
export * from "./rotary";
export * from "./runtime";
export * from "./unary";
