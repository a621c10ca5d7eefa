import { Tokenizer } from "@huggingface/tokenizers";
import { files } from "#files";

export interface TextTokenizer {
  encode(text: string): number[];
  decode(ids: readonly number[]): string;
  /** The files it was read from, to be written beside a model. */
  files: Record<string, string>;
}

const fileNames = ["tokenizer.json", "tokenizer_config.json"] as const;

/** The tokenizer in a model's directory. */
export async function loadTokenizer(dir: string): Promise<TextTokenizer> {
  const [tokenizer, config] = await Promise.all(fileNames.map((name) => files.readText(files.join(dir, name))));
  return tokenizerOf(tokenizer, config);
}

/** Special tokens are neither added to what is encoded nor shown in what is decoded. */
export function tokenizerOf(tokenizerJson: string, configJson: string): TextTokenizer {
  const tokenizer = new Tokenizer(JSON.parse(tokenizerJson), JSON.parse(configJson));
  return {
    encode: (text) => tokenizer.encode(text, { add_special_tokens: false }).ids,
    decode: (ids) => tokenizer.decode([...ids], { skip_special_tokens: true }),
    files: { "tokenizer.json": tokenizerJson, "tokenizer_config.json": configJson },
  };
}

/** One token per byte: a byte-level BPE without merges, in the alphabet that GPT-2 writes bytes in. */
export function byteTokenizer(): TextTokenizer {
  const vocabulary = Object.fromEntries(byteAlphabet().map((character, byte) => [character, byte]));
  const tokenizer = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: vocabulary,
      merges: [],
    },
  };
  return tokenizerOf(
    JSON.stringify(tokenizer),
    JSON.stringify({ tokenizer_class: "PreTrainedTokenizerFast", clean_up_tokenization_spaces: false }),
  );
}

/** Printable bytes stand for themselves, the others for the code points from 256 on. */
function byteAlphabet(): string[] {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
}
