/** HTML that is safe by construction: what a template interpolates is escaped, unless it is markup already. */

/** A piece of HTML, as opposed to text that has yet to be escaped. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Content = string | number | Markup | undefined | readonly Content[];

/** html`<p>${text}</p>`: text is escaped, markup stays, lists are joined, undefined is nothing. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Markup {
  return new Markup(String.raw({ raw: strings }, ...values.map(markupOf)));
}

function markupOf(content: Content): string {
  if (content === undefined) return "";
  if (content instanceof Markup) return content.text;
  if (typeof content === "object") return content.map(markupOf).join("");
  return escapeHtml(String(content));
}

const ENTITIES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** For text and for quoted attribute values; what cannot be printed becomes U+FFFD. */
export function escapeHtml(text: string): string {
  return printable(text).replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

// Controls, lone surrogates, noncharacters: a page must not hold them. Marks of text direction: they would rearrange it.
const UNPRINTABLE = /(?![\t\n])[\p{Cc}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]/gu;

function printable(text: string): string {
  return text.replace(/\r\n?/g, "\n").replace(UNPRINTABLE, "\ufffd");
}

/** JSON for a script element: no `<`, so nothing in it ends the element or opens a comment. */
export function scriptJson(value: unknown): Markup {
  return new Markup(JSON.stringify(value).replace(/</g, "\\u003c"));
}
