export * from "./runtime";
export * from "./unary";
