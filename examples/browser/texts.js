/** Where the texts come from: the two that come with the package, a file, or what is typed. */

const demos = {
  fables: { url: new URL("../../src/cli/texts/fables.txt", import.meta.url), prompt: "The fox " },
  logbook: { url: new URL("../../src/cli/texts/logbook.txt", import.meta.url), prompt: "Day " },
};

/** Fills a panel's text with the chosen demo, and lets files be opened in it or dropped on it. */
export async function fillTexts(panel) {
  const { source, text, prompt } = panel.elements;
  const file = panel.querySelector("[type=file]");

  const put = (value, beginning) => {
    text.value = value;
    prompt.value = beginning;
    showSize();
  };

  const showSize = () => {
    const bytes = new TextEncoder().encode(text.value).length;
    panel.querySelector(".size").textContent = `${bytes.toLocaleString("en-US")} bytes; the last tenth is held out`;
  };

  const open = async (opened) => {
    if (!opened) return;
    const value = await opened.text();
    source.value = "own";
    put(value, beginningOf(value));
  };

  const choose = async () => {
    const demo = demos[source.value];
    if (!demo) return put("", "");
    const response = await fetch(demo.url);
    put(await response.text(), demo.prompt);
  };

  source.addEventListener("change", choose);
  file.addEventListener("change", () => open(file.files[0]));
  text.addEventListener("input", () => {
    source.value = "own";
    prompt.value = beginningOf(text.value);
    showSize();
  });
  panel.addEventListener("dragover", (event) => {
    event.preventDefault();
    panel.classList.add("dropping");
  });
  panel.addEventListener("dragleave", () => panel.classList.remove("dropping"));
  panel.addEventListener("drop", (event) => {
    event.preventDefault();
    panel.classList.remove("dropping");
    open(event.dataTransfer.files[0]);
  });
  await choose();
}

/** The first two words. */
function beginningOf(text) {
  return text.match(/^\s*(\S+\s+\S+\s)/)?.[1] ?? "";
}
