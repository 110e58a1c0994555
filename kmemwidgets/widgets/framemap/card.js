// The card beside the pointer: what the frame below it is.

import { element, fill } from "../_front/dom.js";
import { address, hex } from "../_front/format.js";
import { text } from "../_front/strings.js";
import { describe, zoneWords } from "./words.js";

const AWAY = 16; // pixels from the pointer

/** `show(pfn, event)` and `hide()`. */
export function openCard(view) {
  const { card, host } = view.parts;
  const hide = () => {
    card.hidden = true;
  };
  const show = (pfn, event) => {
    const frame = pfn === null ? null : describe(view.map, view.shared.wire.state.bytes, pfn);
    card.hidden = !frame;
    if (!frame) return;
    const swatch = element("span", { class: "kmem-framemap-swatch", "aria-hidden": "true" });
    swatch.style.background = frame.kind[view.theme];
    const where = { pfn: hex(frame.pfn), address: address(frame.pfn, view.map.page_size) };
    fill(
      card,
      element("div", { class: "kmem-framemap-card-kind" }, swatch, element("strong", { text: frame.kind.label })),
      element("div", { class: "kmem-mono", text: text("framemap.frame", where) }),
      element("div", { text: frame.zone ? zoneWords(frame.zone) : "" }),
      element("div", { class: "kmem-framemap-flags" }, ...frame.words.map((word) => element("span", { text: word }))),
    );
    const box = host.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const left = x + AWAY + card.offsetWidth > box.width ? x - card.offsetWidth - AWAY : x + AWAY;
    card.style.left = `${Math.max(0, left)}px`;
    card.style.top = `${Math.max(0, Math.min(y + AWAY, box.height - card.offsetHeight))}px`;
  };
  return { show, hide };
}
