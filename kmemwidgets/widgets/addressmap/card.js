// What is chosen: its area in words, and the address in its four forms, each of which can be filled in.

import { element, fill } from "../_front/dom.js";
import { hex, sizeWords } from "../_front/format.js";
import { text } from "../_front/strings.js";
import { remarks, translate } from "./translate.js";

const FORMS = ["virtual", "physical", "pfn", "page"];

/** The card: `convert(form, words)` is called when a field was filled in, `leave()` when it is left with Escape. */
export function openCard({ say, convert, leave, signal }) {
  let shown = ""; // what it tells of
  let trouble = ""; // what couldn't be done
  const about = element("div", { class: "kmem-address-about" });
  const fields = Object.fromEntries(FORMS.map((form) => [form, element("input", {
    type: "text", class: "kmem-address-field", spellcheck: "false", autocomplete: "off", size: "19", "data-field": form,
  })]));
  const captions = Object.fromEntries(FORMS.map((form) => [form, element("span", { text: text(`addressmap.field.${form}`) })]));
  for (const [form, field] of Object.entries(fields)) {
    field.addEventListener("change", () => convert(form, field.value.trim()), { signal });
    field.addEventListener("keydown", (event) => event.key === "Escape" && leave(), { signal });
  }
  const forms = element("div", { class: "kmem-address-translate", role: "group", "aria-label": text("addressmap.translate") },
    ...FORMS.map((form) => element("label", {}, captions[form], fields[form])));
  const notes = element("dl", { class: "kmem-address-notes" });

  /** Write an address and its area, unless they stand there: a glide paints often, and somebody may be writing. */
  function show(key, chosen) {
    if (key === shown) return;
    shown = key;
    const complaint = trouble;
    trouble = "";
    fill(notes, complaint ? element("dt", { class: "kmem-address-trouble", text: complaint }) : null);
    if (!chosen) {
      for (const field of Object.values(fields)) field.value = "";
      fill(about, element("span", { class: "kmem-address-faint", text: text("addressmap.hint") }));
      return;
    }
    const { space, address, region, page, digits, wideHex } = chosen;
    const found = translate(space, address, page);
    const values = { virtual: wideHex(address), physical: found.physical, pfn: found.pfn, page: found.page };
    for (const [form, value] of Object.entries(values)) {
      fields[form].value = typeof value === "bigint" ? hex(value) : value ?? "";
    }
    captions.physical.textContent = text(found.image ? "addressmap.field.image" : "addressmap.field.physical");
    fill(
      about,
      element("strong", { text: region?.name ?? text("addressmap.nowhere") }),
      region ? element("code", { text: `${wideHex(region.start)} – ${wideHex(region.end - 1n)}` }) : null,
      region ? element("span", { text: sizeWords(region.end - region.start) }) : null,
      region?.says ? element("p", { text: region.says }) : null,
    );
    if (complaint) return;
    const rows = remarks(space, address, page, digits);
    fill(notes, ...rows.flatMap(([name, value]) => [element("dt", { text: name }), element("dd", {}, element("code", { text: value }))]));
    const words = region
      ? text("addressmap.said", {
          name: region.name, start: hex(region.start), end: hex(region.end - 1n), size: sizeWords(region.end - region.start),
        })
      : text("addressmap.nowhere");
    const more = found.physical === null ? rows.map((row) => row.join(" ")) : [`__pa ${hex(found.physical)}`, `pfn ${hex(found.pfn)}`];
    say([words, ...more].join("; "));
  }

  return {
    node: element("div", { class: "kmem-address-card" }, about, forms, notes),
    fields,
    show,
    /** Write all anew the next time; `words` say what couldn't be done. */
    renew(words = "") {
      trouble = words;
      shown = "";
      if (words) say(words);
    },
  };
}
