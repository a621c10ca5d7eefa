/** What the compiler must refuse: `npm run types` fails where one of these lines compiles. */
import { expect, test } from "vitest";
import { F, record, scope, type Tensor, tensor } from "../src/index.js";
import { kernels } from "../src/wasm/kernels.js";
import { nullPtr } from "../src/wasm/memory.js";

const same = (dy: Tensor): Tensor => dy;

test("types", () => {
  const refused = (x: Tensor, y: Tensor) => {
    // @ts-expect-error one vjp per input: the second is missing
    record("op", y, [x, y], [], [same]);
    // @ts-expect-error one vjp per input: there is one too many
    record("op", y, [x], [], [same, same]);
    // @ts-expect-error a vjp returns a tensor
    record("op", y, [x], [], [() => 1]);
    // @ts-expect-error an address where a count belongs
    kernels.relu(nullPtr, nullPtr, nullPtr);
    // @ts-expect-error a count where an address belongs
    kernels.relu(0, nullPtr, 1);
    // @ts-expect-error a kernel by a name that it does not have
    kernels.reluu(nullPtr, nullPtr, 1);
    // @ts-expect-error a misspelt option
    F.softmax(x, { dims: 1 });
    // @ts-expect-error `cat` takes a list: it is no method
    x.cat([y]);
  };
  expect(refused).toBeTypeOf("function");
  scope(() => {
    const chained: Tensor = tensor([[1, -2]])
      .relu()
      .matmul(tensor([[1], [1]]))
      .sum();
    expect(chained.item()).toBe(1);
  });
});
