export * from "./binary";
export * from "./copy";
export * from "./runtime";
export * from "./unary";
