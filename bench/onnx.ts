/** ONNX models of one or two nodes, written as the protocol buffers of onnx.proto. */

const FLOAT = 1;

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) + 128);
  }
}

/** Field `number` holding bytes: a string, a message or raw data. */
function field(number: number, content: string | Uint8Array): Buffer {
  const bytes = typeof content === "string" ? Buffer.from(content) : Buffer.from(content);
  return Buffer.concat([Buffer.from([...varint(number * 8 + 2), ...varint(bytes.length)]), bytes]);
}

const integer = (number: number, value: number): Buffer => Buffer.from([...varint(number * 8), ...varint(value)]);

function float(number: number, value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = number * 8 + 5;
  bytes.writeFloatLE(value, 1);
  return bytes;
}

const message = (...fields: Buffer[]): Buffer => Buffer.concat(fields);

function attribute(name: string, value: string | number): Buffer {
  if (typeof value === "string") return message(field(1, name), field(4, value), integer(20, 3));
  if (Number.isInteger(value)) return message(field(1, name), integer(3, value), integer(20, 2));
  return message(field(1, name), float(2, value), integer(20, 1));
}

export interface NodeDefinition {
  op: string;
  inputs: string[];
  output: string;
  attributes?: Record<string, string | number>;
  domain?: string;
}

function node({ op, inputs, output, attributes = {}, domain = "" }: NodeDefinition): Buffer {
  return message(
    ...inputs.map((name) => field(1, name)),
    field(2, output),
    field(4, op),
    ...Object.entries(attributes).map(([name, value]) => field(5, attribute(name, value))),
    field(7, domain),
  );
}

function valueInfo(name: string, shape: readonly number[]): Buffer {
  const dims = shape.map((extent) => field(1, integer(1, extent)));
  const tensor = message(integer(1, FLOAT), field(2, message(...dims)));
  return message(field(1, name), field(2, field(1, tensor)));
}

export interface Constant {
  name: string;
  shape: readonly number[];
  data: Float32Array;
}

function initializer({ name, shape, data }: Constant): Buffer {
  const raw = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return message(...shape.map((extent) => integer(1, extent)), integer(2, FLOAT), field(8, name), field(9, raw));
}

export interface Definition {
  nodes: NodeDefinition[];
  /** Of the input `x`. */
  shape: readonly number[];
  /** Of the output `y`. */
  outputShape: readonly number[];
  /** The weights. */
  constants?: Constant[];
}

/** The bytes of a model. */
export function onnxModel({ nodes, shape, outputShape, constants = [] }: Definition): Buffer {
  const graph = message(
    ...nodes.map((each) => field(1, node(each))),
    field(2, "row"),
    ...constants.map((each) => field(5, initializer(each))),
    field(11, valueInfo("x", shape)),
    field(12, valueInfo("y", outputShape)),
  );
  const opset = (domain: string, version: number) => field(8, message(field(1, domain), integer(2, version)));
  return message(integer(1, 10), opset("", 20), opset("com.microsoft", 1), field(7, graph));
}
