/** The first address that the module itself does not use. */
export function heapBase(): usize {
  return __heap_base;
}

/** Whether this build uses relaxed SIMD. */
export function isRelaxed(): bool {
  return ASC_FEATURE_RELAXED_SIMD;
}
