/** What every config.json has, and the checks that name its fields. */

export interface PretrainedConfig {
  model_type?: string;
  /** The standard deviation of fresh weights. */
  initializer_range?: number;
  tie_word_embeddings?: boolean;
  bos_token_id?: number | null;
  eos_token_id?: number | number[] | null;
  pad_token_id?: number | null;
}

interface ConfigRules<Config> {
  modelTypes: readonly string[];
  /** Fields that must be whole numbers from 1. */
  counts: readonly (keyof Config & string)[];
  /** The same, unless they are left out or null. */
  optionalCounts?: readonly (keyof Config & string)[];
  /** Fields that must be probabilities. */
  probabilities: readonly (keyof Config & string)[];
  /** Fields that would change the results unless they are left out, null, or this. */
  only?: Readonly<Record<string, unknown>>;
}

/** What cannot be built, or would silently give other results, is an error. */
export function checkConfig<Config extends PretrainedConfig>(
  model: string,
  config: Config,
  { modelTypes, counts, optionalCounts = [], probabilities, only = {} }: ConfigRules<Config>,
): void {
  const check = (field: string, value: unknown, holds: boolean, rule: string) => {
    if (!holds) throw new Error(`${model}: config.${field} must be ${rule}, got ${JSON.stringify(value)}`);
  };
  const { model_type: type = modelTypes[0] } = config;
  check("model_type", type, modelTypes.includes(type), modelTypes.map((name) => JSON.stringify(name)).join(" or "));
  for (const field of [...counts, ...optionalCounts.filter((name) => config[name] != null)]) {
    const value = config[field];
    check(field, value, Number.isInteger(value) && (value as number) > 0, "a whole number from 1");
  }
  for (const field of probabilities) {
    const value = config[field] ?? 0;
    check(field, value, (value as number) >= 0 && (value as number) < 1, "from 0 to below 1");
  }
  const values = config as Readonly<Record<string, unknown>>;
  for (const [field, value] of Object.entries({ ...only, quantization_config: null })) {
    check(field, values[field], (values[field] ?? value) === value, `${JSON.stringify(value)} in this version`);
  }
}
