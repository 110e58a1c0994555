// VmallocPanel: areas and holes in order of address, each as wide as the logarithm of its pages.

import { element, fill } from "../_front/dom.js";
import { count, sizeWords } from "../_front/format.js";
import { ask, openShell, put } from "../_front/shell.js";
import { text } from "../_front/strings.js";
import { widgetOf } from "../_front/widget.js";

const KINDS = ["vmalloc", "vmap", "ioremap", "user", "vm_map_ram", "unpurged", "other", "hole"];

export const widget = widgetOf(openView);

function openView({ model, el, signal, wire, focus }) {
  let data = null;
  let blocks = [];
  let chosen = -1;
  let turned = false; // a page was turned here, and what it maps is still to be said

  const handlers = {
    next: () => choose(step(1)),
    previous: () => choose(step(-1)),
    first: () => choose(0),
    last: () => choose(data.places.length - 1),
    next_page: () => turn(1),
    previous_page: () => turn(-1),
    find: () => search.focus(),
    clear: () => find(""),
    allocate: () => ask(model, "allocate", { pages: Number(pages.value) }),
    // With nothing chosen Python says what to do first.
    free: () => ask(model, "free", chosen < 0 ? {} : { address: data.places[chosen].start }),
  };
  const shell = openShell({ model, el, signal, handlers });
  const off = (name) => shell.about.gestures.find((each) => each.name === name).off;

  const search = element("input", {
    type: "search", class: "kmem-vmalloc-field", size: "24", spellcheck: "false", autocomplete: "off",
    placeholder: text("vmallocpanel.search"), "aria-label": text("vmallocpanel.search"),
  });
  search.addEventListener("input", () => find(search.value), { signal });
  const pages = element("input", {
    type: "number", class: "kmem-vmalloc-field kmem-vmalloc-pages", min: "1", max: "65536", value: "4",
    "aria-label": text("vmallocpanel.pages"), disabled: off("allocate"),
  });
  shell.tools.prepend(search, element("label", { class: "kmem-vmalloc-label" }, text("vmallocpanel.pages.label"), pages));
  for (const [gesture, label] of [["allocate", "vmalloc"], ["free", "vfree"]]) {
    const made = shell.tool({ label, says: text(`vmallocpanel.${gesture}`), onClick: handlers[gesture], gesture });
    made.disabled = off(gesture);
    if (made.disabled) made.title = text("shell.noverb", { verb: label });
  }
  const legend = element("div", { class: "kmem-vmalloc-legend" });
  const band = element("div", {
    class: "kmem-vmalloc-band", tabindex: "0", role: "listbox", "aria-label": shell.about.title,
  });
  const card = element("div", { class: "kmem-vmalloc-card" });
  const way = element("div", { class: "kmem-vmalloc-walk", hidden: true });
  const callers = element("details", { class: "kmem-vmalloc-callers" });
  fill(shell.body, legend, band, card, way, callers);

  wire.subscribe((what, state) => {
    data = state.data;
    shell.subtitle(data.subtitle);
    build();
    show();
    showWay();
  }, signal);
  model.on("change:caller", show);
  model.on("change:walked", showWay);
  signal.addEventListener("abort", () => {
    model.off("change:caller", show);
    model.off("change:walked", showWay);
  });
  focus.subscribe((place) => {
    if (place.address === undefined || !data) return;
    const address = BigInt(place.address);
    mark(data.places.findIndex((each) => address >= BigInt(each.start) && address < BigInt(each.end)));
  }, signal);

  function find(caller) {
    put(model, { caller });
    const found = data.places.filter((place) => caller && (place.caller ?? "").includes(caller));
    shell.say(caller ? text("vmallocpanel.found", { count: count(found.length), caller }) : "");
  }
  // Only kinds that there are, and what the pattern at the end of an area is.
  function writeLegend() {
    const there = new Set(data.places.map(({ kind }) => kind));
    fill(legend, ...KINDS.filter((kind) => there.has(kind)).map((kind) =>
      element("span", {}, element("i", { class: `kmem-vmalloc-swatch kmem-vmalloc-${kind}` }), text(`vmallocpanel.kind.${kind}`))),
    there.size && !(there.size === 1 && there.has("hole"))
      ? element("span", {}, element("i", { class: "kmem-vmalloc-swatch kmem-vmalloc-guarded" }), text("vmallocpanel.kind.guard"))
      : null);
  }
  function build() {
    writeLegend();
    blocks = data.places.map((place, i) => {
      const block = element("div", {
        class: `kmem-vmalloc-block kmem-vmalloc-${place.kind}`, role: "option", id: `${shell.root.getAttribute("aria-labelledby")}-${i}`,
        "aria-label": words(place), title: words(place), style: `width:${12 + 7 * Math.log2(place.pages + 1)}px`,
      }, element("span", { text: count(place.pages) }));
      if (place.kind !== "hole") block.append(element("i", { class: "kmem-vmalloc-guard" }));
      block.addEventListener("click", () => choose(i));
      return block;
    });
    fill(band, ...blocks);
    if (data.left_out) band.append(element("span", { text: text("vmallocpanel.left_out", { count: count(data.left_out) }) }));
    const head = ["caller", "areas", "size"].map((name) => element("th", { scope: "col", text: text(`vmallocpanel.${name}`) }));
    const rows = data.callers.map(([name, number, size]) => {
      const button = element("button", { type: "button", class: "kmem-vmalloc-caller", text: name });
      button.addEventListener("click", () => find(name));
      return element("tr", {}, element("th", { scope: "row" }, button), element("td", { text: count(number) }), element("td", { text: size }));
    });
    fill(callers, element("summary", { text: text("vmallocpanel.callers") }),
      element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)));
    const address = focus.get().address;
    if (address !== undefined) {
      mark(data.places.findIndex((each) => BigInt(address) >= BigInt(each.start) && BigInt(address) < BigInt(each.end)));
    } else mark(-1);
  }

  function show() {
    const caller = model.get("caller");
    if (search.value !== caller) search.value = caller;
    blocks.forEach((block, i) => {
      block.classList.toggle("kmem-vmalloc-dim", Boolean(caller) && !(data.places[i].caller ?? "").includes(caller));
    });
  }

  // The page tables: a box a level, left to right, the last one the frame. No boxes where nobody knows them.
  function showWay() {
    const walk = model.get("walked");
    way.hidden = !walk?.steps;
    if (way.hidden) return;
    const steps = walk.steps.flatMap((each) => [
      element("li", { class: `kmem-vmalloc-step kmem-vmalloc-step-${each.kind}` },
        element("strong", { text: `${each.level}[${each.index}]` }),
        element("code", { text: each.entry ?? text("vmallocpanel.walk.boot") }),
        element("span", { class: "kmem-vmalloc-faint", text: text("vmallocpanel.walk.maps", { span: each.span }) }),
        element("span", {
          class: "kmem-vmalloc-faint",
          text: each.table === null ? text("vmallocpanel.walk.image") : text("vmallocpanel.walk.table", { frame: each.table }),
        })),
    ]);
    const end = walk.physical === null ? text("vmallocpanel.walk.none") : text("vmallocpanel.walk.frame", walk);
    const button = (label, gesture) => {
      const made = element("button", {
        type: "button", class: "kmem-vmalloc-turn", text: label, "aria-label": text(`vmallocpanel.walk.${gesture}`),
        "data-gesture": gesture,
      });
      made.addEventListener("click", handlers[gesture]);
      return made;
    };
    fill(way,
      element("div", { class: "kmem-vmalloc-way-head" },
        element("span", { text: text("vmallocpanel.walk.title", walk) }),
        button("◀", "previous_page"), button("▶", "next_page")),
      element("ol", { "aria-label": text("vmallocpanel.walk.title", walk) }, ...steps,
        element("li", { class: `kmem-vmalloc-step kmem-vmalloc-step-${walk.physical === null ? "none" : "frame"}` },
          ...(walk.physical === null ? [end] : [
            element("strong", { text: text("vmallocpanel.walk.pfn", walk) }),
            element("code", { text: walk.physical }),
            element("span", { class: "kmem-vmalloc-faint", text: text("vmallocpanel.walk.physical") })]))));
    if (turned) shell.say(`${walk.address}: ${end}`);
    turned = false;
  }
  function turn(pages) {
    const place = data?.places[chosen];
    if (!place || place.kind === "hole") return;
    const from = BigInt(focus.get().address ?? place.start);
    const to = from + BigInt(pages) * BigInt(data.page_size);
    if (to < BigInt(place.start) || to >= BigInt(place.end)) return;
    turned = true;
    focus.set({ address: `0x${to.toString(16)}` });
  }

  function step(way) {
    const from = chosen < 0 ? (way > 0 ? -1 : data.places.length) : chosen;
    return Math.max(0, Math.min(data.places.length - 1, from + way));
  }
  function choose(i) {
    if (!data?.places[i]) return;
    focus.set({ address: data.places[i].start });
    mark(i);
  }
  function mark(i) {
    blocks[chosen]?.removeAttribute("aria-selected");
    chosen = i;
    const block = blocks[i];
    if (!block) {
      band.removeAttribute("aria-activedescendant");
      fill(card, element("span", { class: "kmem-vmalloc-faint", text: text("vmallocpanel.hint") }));
      return;
    }
    block.setAttribute("aria-selected", "true");
    band.setAttribute("aria-activedescendant", block.id);
    const place = data.places[i];
    const rows = [
      ["pages", place.kind === "hole" ? count(place.pages) : `${count(place.pages)} ${text("vmallocpanel.guarded")}`],
      ["backed", place.backed === null || place.backed === undefined ? null : count(place.backed)],
      ["phys", place.phys],
      ["nodes", place.nodes?.join(" ")],
      ["flags", place.flags?.join(", ")],
    ].filter(([, value]) => value);
    fill(card,
      element("strong", { text: place.caller || text(`vmallocpanel.kind.${place.kind}`) }),
      element("code", { text: `${place.start} – ${place.end}` }),
      element("span", { text: sizeWords(place.pages * data.page_size) }),
      element("dl", {}, ...rows.flatMap(([name, value]) => [
        element("dt", { text: text(`vmallocpanel.${name}`) }), element("dd", { text: value })])));
    shell.say(words(place));
  }
  function words(place) {
    return text("vmallocpanel.said", {
      kind: text(`vmallocpanel.kind.${place.kind}`), pages: count(place.pages), start: place.start, caller: place.caller ?? "",
    });
  }
}
