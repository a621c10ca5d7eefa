/** Texts to token ids: by words, or as the tokenizer in a model's directory does. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";

const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];

/** One id for each word of `texts`, and one for all others. */
export function wordTokenizer(texts) {
  const words = [...new Set(texts.flatMap(split))].sort();
  const ids = new Map([...special, ...words].map((word, id) => [word, id]));
  const idOf = (word) => ids.get(word) ?? ids.get("[UNK]");
  return {
    size: ids.size,
    encode: (text) => [ids.get("[CLS]"), ...split(text).map(idOf), ids.get("[SEP]")],
  };
}

function split(text) {
  return text.toLowerCase().match(/\p{L}+/gu) ?? [];
}

/** tokenizer.json of a Hugging Face directory. */
export function loadTokenizer(dir) {
  const read = (name) => JSON.parse(readFileSync(join(dir, name), "utf8"));
  const tokenizer = new Tokenizer(read("tokenizer.json"), read("tokenizer_config.json"));
  return { encode: (text) => tokenizer.encode(text).ids };
}
