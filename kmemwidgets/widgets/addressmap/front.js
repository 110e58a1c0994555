// AddressMap: address spaces at true scale, from 16 EiB to a page.
//
// Left the whole space, each area as high as the logarithm of its size so that all can be seen, the window
// marked; then the window at true scale. Lines join the two, so that nobody loses the way. Labels stand
// beside the strip, as most areas are too thin to hold one.

import { element, fill, followWidth, onceAFrame, svgElement } from "../_front/dom.js";
import { hex, sizeWords } from "../_front/format.js";
import { openShell, put } from "../_front/shell.js";
import { text } from "../_front/strings.js";
import { widgetOf } from "../_front/widget.js";
import { openCard } from "./card.js";
import { addressAt, around, between, clampWindow, evenScale, fraction, regionAt, ruler, spread, zoomAt } from "./geometry.js";
import { frameOf, translate, virtualOf } from "./translate.js";

const HEIGHT = 440;
const LABEL_GAP = 19;
const GLIDE_MS = 260;
const DRAG_PX = 4;
const OVERVIEW_PX = 34;
const TINY_PX = 230; // a column with hardly room for names
const NARROW_PX = 330; // a column without room for sizes
const RULED_PX = 440; // one with room for the addresses of its ruler
const ADDRESS_PX = 300; // labels with room for the first address
const DIGIT_PX = 6.7; // of the ruler's addresses
const MOST_PAGES = 20; // more pages on screen are not drawn one by one

export const widget = widgetOf(openView);

function openView({ model, el, signal, wire, focus }) {
  let spaces = [];
  let breadth = 0; // of the stage
  let whole = 1n << 64n;
  let page = 4096n;
  let window_ = null; // what is on screen now
  let goal = null; // what it glides to; steps by key go on from there, however fast they follow each other
  let back = []; // windows to go back to
  let chosen = null; // { space, address }
  let glide = null;
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  const handlers = {
    higher: () => step(1),
    lower: () => step(-1),
    open: () => open(),
    back: () => goBack(),
    whole: () => go({ lo: 0n, size: whole }),
    closer: () => go(closer()),
    farther: () => go(zoomAt(goal, middle(), 2, whole, page)),
    pan_up: () => go({ lo: goal.lo + goal.size / 2n, size: goal.size }),
    pan_down: () => go({ lo: goal.lo - goal.size / 2n, size: goal.size }),
    find: () => search.focus(),
    translate: () => card.fields.physical.select(),
  };
  const shell = openShell({ model, el, signal, handlers });

  const search = element("input", {
    type: "search", class: "kmem-address-search", size: "22", spellcheck: "false", autocomplete: "off",
    placeholder: text("addressmap.search"), "aria-label": text("addressmap.search"),
  });
  search.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") find(search.value.trim());
    if (event.key === "Escape") stage.focus();
  }, { signal });
  const range = element("code");
  const extent = element("span");
  const crumb = (onClick) => {
    const made = element("button", { type: "button", class: "kmem-address-crumb" });
    made.addEventListener("click", onClick);
    return made;
  };
  const fromWhole = crumb(() => handlers.whole());
  const fromArea = crumb(() => {
    const region = held();
    if (region) go(around(region.start, region.end, whole, page));
  });
  const names = element("div", { class: "kmem-address-names" });
  const pointer = element("code", { class: "kmem-address-faint", "aria-hidden": "true" });
  const stage = element("div", {
    class: "kmem-address-stage", tabindex: "0", role: "listbox", "aria-label": shell.about.title,
  });
  const trail = element("nav", { class: "kmem-address-trail", "aria-label": text("addressmap.trail") }, fromWhole, fromArea, range, extent, pointer);
  const card = openCard({ say: (words) => shell.say(words), convert, leave: () => stage.focus(), signal });
  const table = element("details", { class: "kmem-address-table" });
  fill(shell.body, trail, names, stage, card.node, table);
  shell.tools.prepend(search);
  const buttons = Object.fromEntries([["farther", "−"], ["closer", "+"], ["back", "↶"], ["whole", "⌂"]].map(([gesture, label]) =>
    [gesture, shell.tool({ label, says: text(`addressmap.${gesture}`), onClick: () => handlers[gesture](), gesture })]));

  const draw = onceAFrame(paint, signal);
  followWidth(stage, signal, (width) => {
    breadth = width;
    draw();
  });

  wire.subscribe((what, state) => {
    spaces = state.data.spaces.map(readSpace);
    page = BigInt(state.data.page_size);
    whole = 1n << BigInt(state.data.bits);
    window_ ??= readWindow(model.get("window"), whole, page);
    goal ??= window_;
    shell.subtitle(state.data.subtitle);
    card.renew();
    fill(names, ...(spaces.length < 2 ? [] : spaces.map(({ name, title }) =>
      element("div", {}, element("strong", { text: name }), element("span", { class: "kmem-address-faint", text: title })))));
    writeTable();
    draw();
  }, signal);
  const follow = () => {
    if (!window_) return;
    const next = readWindow(model.get("window"), whole, page);
    if (next.lo !== goal.lo || next.size !== goal.size) go(next, { tell: false });
  };
  model.on("change:window", follow);
  signal.addEventListener("abort", () => {
    model.off("change:window", follow);
    cancelAnimationFrame(glide);
  });
  focus.subscribe((place, mine) => {
    if (place.address === undefined) return;
    const address = BigInt(place.address);
    chosen = { space: mine && chosen ? chosen.space : 0, address };
    if (!mine && window_ && !inside(address)) reveal(address);
    draw();
  }, signal);

  // Moving --------------------------------------------------------------------------

  // Half a window, with what is chosen in its middle.
  function closer() {
    const at = chosen ? fraction(chosen.address, goal) : -1;
    if (at < 0 || at > 1) return zoomAt(goal, 0.5, 0.5, whole, page);
    const size = goal.size / 2n < page ? page : goal.size / 2n;
    return { lo: chosen.address - size / 2n, size };
  }
  function middle() {
    const at = chosen ? fraction(chosen.address, goal) : 0.5;
    return at < 0 || at > 1 ? 0.5 : at;
  }
  function inside(address) {
    return address >= window_.lo && address < window_.lo + window_.size;
  }
  function go(next, { tell = true, remember = true, smooth = true } = {}) {
    const to = clampWindow(next, whole, page);
    if (to.lo === goal.lo && to.size === goal.size) return;
    if (remember) {
      back.push(goal);
      if (back.length > 200) back.shift();
    }
    goal = to;
    cancelAnimationFrame(glide);
    if (tell) put(model, { window: [hex(to.lo), hex(to.size)] });
    if (!smooth || still.matches) {
      window_ = to;
      draw();
      return;
    }
    const from = window_;
    const begin = performance.now();
    const frame = (now) => {
      const t = Math.min(1, (now - begin) / GLIDE_MS);
      window_ = clampWindow(between(from, to, 1 - (1 - t) ** 3), whole, page);
      paint();
      if (t < 1) glide = requestAnimationFrame(frame);
    };
    glide = requestAnimationFrame(frame);
  }
  function goBack() {
    const before = back.pop();
    if (before) go(before, { remember: false });
    else complain(text("addressmap.nowindow"));
  }
  function reveal(address) {
    const region = regionOf(0, address);
    go(region ? around(region.start, region.end, whole, page) : { lo: address - window_.size / 2n, size: window_.size });
  }
  function open() {
    const region = chosen && regionOf(chosen.space, chosen.address);
    if (region) go(around(region.start, region.end, whole, page));
  }
  function regionOf(space, address) {
    const regions = spaces[space]?.regions ?? [];
    return regions[regionAt(regions, address)];
  }
  function choose(space, address) {
    chosen = { space, address };
    focus.set({ address: hex(address) });
    draw();
  }
  function step(way) {
    const space = chosen?.space ?? 0;
    const seen = shown(space);
    if (!seen.length) return;
    const at = chosen ? seen.findIndex((region) => chosen.address >= region.start && chosen.address < region.end) : -1;
    const next = at < 0 ? (way > 0 ? 0 : seen.length - 1) : Math.min(seen.length - 1, Math.max(0, at + way));
    choose(space, seen[next].start);
  }
  function find(words) {
    const address = readAddress(words);
    if (address !== null && address < whole) {
      choose(0, address);
      if (!inside(address)) reveal(address);
      return;
    }
    const wanted = words.toLowerCase();
    for (const [space, { regions }] of spaces.entries()) {
      const region = wanted && regions.find((each) => each.name.toLowerCase().includes(wanted));
      if (region) {
        choose(space, region.start);
        go(around(region.start, region.end, whole, page));
        return;
      }
    }
    complain(text("addressmap.nothing", { words }));
  }
  // A field was filled in: go to the address that it stands for.
  function convert(name, words) {
    const space = chosen?.space ?? 0;
    const number = /^(0x)?[0-9a-f]{1,16}$/i.test(words) ? BigInt(words.toLowerCase().startsWith("0x") ? words : `0x${words}`) : null;
    if (number === null) {
      complain(words ? text("addressmap.nonumber", { words }) : "");
      return;
    }
    const pfn = name === "pfn" ? number : name === "page" ? frameOf(spaces[space], number) : null;
    const physical = name === "physical" ? number : pfn === null ? null : pfn * page;
    const address = name === "virtual" ? number : physical === null ? null : virtualOf(spaces[space], physical);
    if (address === null || address >= whole) {
      complain(text(name === "page" && pfn === null ? "addressmap.nopage" : "addressmap.novirtual", { number: hex(number) }));
      return;
    }
    card.renew(); // the other fields follow, also where the address is the same
    choose(space, address);
    if (!inside(address)) reveal(address);
  }
  // Say what can't be done, where it was asked for; the fields show again what is chosen.
  function complain(words) {
    card.renew(words);
    draw();
  }
  // The area of the first space that the whole window lies in.
  function held() {
    const region = regionOf(0, window_.lo);
    return region && window_.lo + window_.size <= region.end && window_.size < whole ? region : null;
  }
  function shown(space) {
    const end = window_.lo + window_.size;
    return spaces[space].regions.filter((region) => region.end > window_.lo && region.start < end);
  }

  // Drawing -------------------------------------------------------------------------

  function paint() {
    if (!window_ || !breadth) return;
    const height = model.get("height") ?? HEIGHT;
    stage.style.height = `${height}px`;
    const wide = breadth / spaces.length;
    fill(stage, ...spaces.map((space, index) => column(space, index, wide, height)));
    writeTrail();
    writeCard();
  }

  function column(space, index, wide, height) {
    const narrow = wide < NARROW_PX;
    const ruled = wide >= RULED_PX;
    const strip = narrow
      ? wide < TINY_PX ? { x: 44, width: 18 } : { x: 58, width: 34 }
      : { x: ruled ? 58 + digits() * DIGIT_PX : 84, width: Math.min(150, Math.max(60, wide * 0.2)) };
    const box = element("div", { class: "kmem-address-column", role: "group", "aria-label": space.name, style: `width:${wide}px` });
    const picture = svgElement("svg", { width: wide, height, "aria-hidden": "true" });
    const low = space.scale.toPart(window_.lo);
    const high = space.scale.toPart(window_.lo + window_.size);
    const top = Math.min(height - 3, height * (1 - high));
    const bottom = Math.max(top + 3, height * (1 - low));
    const band = (region, toPart, x, width) => {
      const y1 = Math.max(0, height * (1 - toPart(region.end)));
      const y2 = Math.min(height, height * (1 - toPart(region.start)));
      return svgElement("rect", {
        x, y: y1, width, height: Math.max(1, y2 - y1), class: `kmem-address-band kmem-address-${region.group}`,
      });
    };
    picture.append(
      ...space.regions.map((region) => band(region, space.scale.toPart, 8, 22)),
      svgElement("path", {
        class: "kmem-address-beam", d: `M30 ${top} L${strip.x} 0 V${height} L30 ${bottom} Z`,
      }),
      svgElement("rect", { x: 6.5, y: top, width: 25, height: bottom - top, class: "kmem-address-mark" }),
    );
    const regions = shown(index);
    for (const region of regions) {
      const rect = band(region, (address) => fraction(address, window_), strip.x, strip.width);
      if (holds(region, index)) rect.classList.add("kmem-address-chosen");
      picture.append(rect);
    }
    for (const mark of ruler(window_, 6)) {
      const y = height * (1 - fraction(mark, window_));
      picture.append(svgElement("path", { class: "kmem-address-tick", d: `M${strip.x - 5} ${y} h5` }));
      if (!ruled) continue;
      picture.append(svgElement("text", {
        class: "kmem-address-mono", x: strip.x - 10, y: Math.min(height - 3, Math.max(10, y + 4)), "text-anchor": "end",
        text: (mark < whole ? mark : whole - 1n).toString(16).padStart(digits(), "0"),
      }));
    }
    picture.append(...pages(space, strip, height));
    if (chosen && chosen.space === index && inside(chosen.address)) {
      const y = height * (1 - fraction(chosen.address, window_));
      picture.append(svgElement("path", { class: "kmem-address-pointer", d: `M${strip.x - 9} ${y - 5} l8 5 l-8 5 z` }));
    }
    box.append(picture, ...labels(regions, index, strip, wide, height, picture));
    return box;
  }

  // So close that pages can be told apart: each with its frame, where addresses lead straight to memory.
  function pages(space, strip, height) {
    if (window_.size > BigInt(MOST_PAGES) * page) return [];
    const out = [];
    for (let at = window_.lo - (window_.lo % page); at < window_.lo + window_.size; at += page) {
      const [low, high] = [at, at + page].map((edge) => height * (1 - fraction(edge, window_)));
      const { pfn } = translate(space, at, page);
      out.push(svgElement("path", { class: "kmem-address-page", d: `M${strip.x} ${low} h${strip.width}` }));
      if (pfn !== null) {
        out.push(svgElement("text", {
          class: "kmem-address-frame", x: strip.x + strip.width / 2, y: (Math.min(low, height) + Math.max(high, 0)) / 2 + 4,
          "text-anchor": "middle", text: text("addressmap.frame", { pfn: hex(pfn) }),
        }));
      }
    }
    return out;
  }

  function labels(regions, index, strip, wide, height, picture) {
    const end = window_.lo + window_.size;
    const wants = regions.map((region) => {
      const from = region.start > window_.lo ? region.start : window_.lo;
      const to = region.end < end ? region.end : end;
      return height * (1 - (fraction(from, window_) + fraction(to, window_)) / 2);
    });
    // From the top of the screen down.
    const order = regions.map((_, i) => i).reverse();
    const room = Math.floor(height / LABEL_GAP);
    const kept = order.length <= room ? order : biggest(order, regions, room - 1, index);
    const places = spread(kept.map((i) => wants[i]), LABEL_GAP, height) ?? [];
    const x = strip.x + strip.width;
    const addressed = wide - x - 40 > ADDRESS_PX;
    const lead = wide < TINY_PX ? 8 : 24;
    const out = kept.map((i, n) => {
      const region = regions[i];
      picture.append(svgElement("path", {
        class: "kmem-address-lead", d: `M${x} ${wants[i]} L${x + lead / 3} ${wants[i]} L${x + lead} ${places[n]} h${lead / 4}`,
      }));
      const label = element(
        "div",
        {
          class: `kmem-address-label${region.group === "hole" ? " kmem-address-faint" : ""}${addressed ? " kmem-address-wide" : ""}`,
          role: "option", id: `${shell.root.getAttribute("aria-labelledby")}-${index}-${region.start.toString(16)}`,
          "aria-selected": String(holds(region, index)),
          style: `left:${x + lead + 10}px;top:${places[n] - LABEL_GAP / 2}px;max-width:${Math.max(40, wide - x - lead - 12)}px`,
        },
        element("i", { class: `kmem-address-swatch kmem-address-${region.group}` }),
        addressed ? element("code", { text: region.start.toString(16).padStart(digits(), "0") }) : null,
        element("span", { class: "kmem-address-area", text: region.name, "data-term": region.term || null }),
        wide < NARROW_PX ? null : element("span", { class: "kmem-address-size", text: sizeWords(region.end - region.start) }),
      );
      label.addEventListener("click", () => choose(index, region.start));
      label.addEventListener("dblclick", () => open());
      return label;
    });
    if (kept.length < order.length) {
      out.push(element("div", {
        class: "kmem-address-more", text: text("addressmap.more", { count: order.length - kept.length }),
      }));
    }
    return out;
  }

  function biggest(order, regions, room, space) {
    const wanted = [...order].sort((a, b) => weight(regions[b], space) - weight(regions[a], space)).slice(0, room);
    return order.filter((i) => wanted.includes(i));
  }
  function weight(region, space) {
    if (holds(region, space)) return Infinity;
    return Number(region.end - region.start) * (region.group === "hole" ? 1e-6 : 1);
  }
  function holds(region, space) {
    return Boolean(chosen && chosen.space === space && chosen.address >= region.start && chosen.address < region.end);
  }

  function digits() {
    return whole > 1n << 32n ? 16 : 8;
  }

  function writeTrail() {
    const top = window_.lo + window_.size - 1n;
    const region = held();
    const all = goal.size === whole;
    fromWhole.hidden = all;
    fromWhole.textContent = text("addressmap.crumb.whole", { size: sizeWords(whole) });
    fromArea.hidden = !region;
    fromArea.textContent = region ? text("addressmap.crumb.area", { name: region.name, size: sizeWords(region.end - region.start) }) : "";
    range.textContent = `${wideHex(window_.lo)} – ${wideHex(top)}`;
    extent.textContent = text("addressmap.window", { size: sizeWords(window_.size) });
    const off = { farther: all, whole: all, closer: goal.size === page, back: !back.length };
    for (const [gesture, made] of Object.entries(buttons)) {
      if (off[gesture]) made.setAttribute("aria-disabled", "true");
      else made.removeAttribute("aria-disabled");
    }
    const region_ = chosen && regionOf(chosen.space, chosen.address);
    const option = region_ && `${shell.root.getAttribute("aria-labelledby")}-${chosen.space}-${region_.start.toString(16)}`;
    if (option && stage.querySelector(`[id="${option}"]`)) stage.setAttribute("aria-activedescendant", option);
    else stage.removeAttribute("aria-activedescendant");
  }

  function writeCard() {
    if (!chosen) {
      card.show("none");
      return;
    }
    card.show(`${chosen.space} ${chosen.address}`, {
      space: spaces[chosen.space], address: chosen.address, region: regionOf(chosen.space, chosen.address), page, wideHex, digits: digits(),
    });
  }

  function writeTable() {
    const heads = ["name", "start", "end", "size"].map((each) =>
      element("th", { scope: "col", text: text(`addressmap.table.${each}`) }));
    const rows = spaces.flatMap((space) => [...space.regions].reverse().map((region) => element(
      "tr", {},
      element("th", { scope: "row", text: spaces.length > 1 ? `${space.name}: ${region.name}` : region.name }),
      element("td", {}, element("code", { text: wideHex(region.start) })),
      element("td", {}, element("code", { text: wideHex(region.end - 1n) })),
      element("td", { text: sizeWords(region.end - region.start) }),
    )));
    fill(
      table,
      element("summary", { text: text("addressmap.table") }),
      element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows)),
    );
  }

  function wideHex(address) {
    return "0x" + address.toString(16).padStart(digits(), "0");
  }

  // Mouse ---------------------------------------------------------------------------

  let grip = null;
  const place = (event) => {
    const box = stage.getBoundingClientRect();
    return {
      space: Math.min(spaces.length - 1, Math.floor(((event.clientX - box.left) / box.width) * spaces.length)),
      part: Math.min(1, Math.max(0, 1 - (event.clientY - box.top) / box.height)),
      left: (event.clientX - box.left) % (box.width / spaces.length),
    };
  };
  stage.addEventListener("wheel", (event) => {
    if (!window_) return;
    event.preventDefault();
    go(zoomAt(window_, place(event).part, 1.0015 ** event.deltaY, whole, page), { smooth: false, remember: false });
  }, { signal, passive: false });
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !window_ || event.target.closest(".kmem-address-label")) return;
    grip = { y: event.clientY, from: window_, moved: false };
    stage.setPointerCapture(event.pointerId);
  }, { signal });
  stage.addEventListener("pointermove", (event) => {
    if (!grip) {
      const { part, left } = place(event);
      pointer.textContent = left > OVERVIEW_PX && window_ ? wideHex(addressAt(part, window_)) : "";
      return;
    }
    const dy = event.clientY - grip.y;
    grip.moved ||= Math.abs(dy) > DRAG_PX;
    if (!grip.moved) return;
    const shift = addressAt(Math.abs(dy) / stage.clientHeight, { lo: 0n, size: grip.from.size });
    go({ lo: dy > 0 ? grip.from.lo + shift : grip.from.lo - shift, size: grip.from.size },
      { smooth: false, remember: false });
  }, { signal });
  stage.addEventListener("pointerleave", () => {
    pointer.textContent = "";
  }, { signal });
  stage.addEventListener("pointerup", (event) => {
    const held = grip;
    grip = null;
    if (!held) return;
    if (held.moved) {
      back.push(held.from);
      return;
    }
    const { space, part, left } = place(event);
    if (left < OVERVIEW_PX) {
      const address = spaces[space].scale.toAddress(part);
      const region = regionOf(space, address);
      choose(space, address);
      go(around(region.start, region.end, whole, page));
    }
    else choose(space, addressAt(part, window_));
  }, { signal });
  stage.addEventListener("dblclick", (event) => {
    if (!event.target.closest(".kmem-address-label")) open();
  }, { signal });
}

function readSpace(space) {
  const regions = space.regions.map((region) => ({ ...region, start: BigInt(region.start), end: BigInt(region.end) }));
  return {
    ...space,
    regions,
    scale: evenScale(regions),
    maps: space.maps.map((map) => ({ ...map, start: BigInt(map.start), end: BigInt(map.end), to: BigInt(map.to) })),
    memmaps: space.memmaps.map((map) => ({
      start: BigInt(map.start), end: BigInt(map.end), pfn: BigInt(map.pfn), size: BigInt(map.size),
    })),
  };
}

function readWindow(pair, whole, page) {
  if (!pair || pair.length !== 2) return { lo: 0n, size: whole };
  return clampWindow({ lo: BigInt(pair[0]), size: BigInt(pair[1]) }, whole, page);
}

function readAddress(words) {
  if (!/^(0x)?[0-9a-f]{4,16}$/i.test(words)) return null;
  return BigInt(words.toLowerCase().startsWith("0x") ? words : `0x${words}`);
}
