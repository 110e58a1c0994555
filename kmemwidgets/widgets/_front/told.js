// What a source answered in words: one sentence a line, below the picture.

import { element, fill } from "./dom.js";

/** A node that shows the model's trait `said`, and is read out when it changes; hidden while there is nothing. */
export function openTold({ model, signal, onChange = () => {} }) {
  const node = element("div", { class: "kmem-said", role: "status", hidden: true });
  const show = () => {
    const words = model.get("said");
    node.hidden = !words;
    fill(node, ...words.split("\n").map((line) => element("p", { text: line })));
    onChange(words);
  };
  model.on("change:said", show);
  signal.addEventListener("abort", () => model.off("change:said", show));
  show();
  return node;
}
