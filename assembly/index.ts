export * from "./runtime";
export * from "./unary";
export * from "./copy";
