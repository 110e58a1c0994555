// BootTimeline: the steps at the left, physical memory as it is after them at the right.

import { element, fill, followWidth, onceAFrame } from "../_front/dom.js";
import { hex, sizeWords } from "../_front/format.js";
import { openShell, put } from "../_front/shell.js";
import { text } from "../_front/strings.js";
import { widgetOf } from "../_front/widget.js";
import { cut, marks, stateAfter, weight } from "./memory.js";

const LABEL_PX = 140; // the names at the left of the bars
const MARK_PX = 80; // room for an address below them

export const widget = widgetOf(openView);

function openView({ model, el, signal, wire, focus }) {
  let page = 4096n;
  let steps = [];
  let bootmem = false; // whether the early allocator is bootmem
  let firmware = [];
  let pieces = [];
  let rows = [];
  let picked = -1; // the piece of memory that is followed
  let wide = 0; // of a bar with its label
  const now = () => Math.min(model.get("step"), steps.length);
  const go = (step) => put(model, { step: Math.max(0, Math.min(steps.length, step)) });
  const changing = (from, way) => {
    for (let i = from; i > 0 && i <= steps.length; i += way) if (steps[i - 1].calls.length) return i;
    return way > 0 ? steps.length : 0;
  };
  const handlers = {
    next: () => go(now() + 1),
    previous: () => go(now() - 1),
    next_change: () => go(changing(now() + 1, 1)),
    previous_change: () => go(changing(now() - 1, -1)),
    first: () => go(0),
    last: () => go(steps.length),
    next_piece: () => follow(picked + 1),
    previous_piece: () => follow(picked < 0 ? pieces.length - 1 : picked - 1),
  };
  const shell = openShell({ model, el, signal, handlers });
  for (const [gesture, label] of [["first", "|◀"], ["previous_change", "◀◀"], ["previous", "◀"], ["next", "▶"], ["next_change", "▶▶"], ["last", "▶|"]]) {
    shell.tool({ label, says: text(`boottimeline.${gesture}`), onClick: handlers[gesture], gesture });
  }
  const list = element("div", { class: "kmem-boot-list", tabindex: "0", role: "listbox", "aria-label": text("boottimeline.steps") });
  const title = element("h3", { class: "kmem-boot-title" });
  const place = element("span", { class: "kmem-boot-faint" });
  const says = element("p", { class: "kmem-boot-says" });
  const bars = element("div", { class: "kmem-boot-bars" });
  const key = element("div", { class: "kmem-boot-key" });
  const piece = element("p", { class: "kmem-boot-followed" });
  const totals = element("dl", { class: "kmem-boot-totals" });
  const calls = element("div", { class: "kmem-boot-calls" });
  const log = element("pre", { class: "kmem-boot-log", role: "group", hidden: true, tabindex: "0", "aria-label": text("boottimeline.prints") });
  fill(shell.body, element("div", { class: "kmem-boot-two" }, list,
    element("div", { class: "kmem-boot-main" }, element("div", { class: "kmem-boot-head" }, title, place), says, log, bars, key, piece, totals, calls)));
  const draw = onceAFrame(paint, signal);
  followWidth(bars, signal, (width) => {
    wide = width;
    draw();
  });
  model.on("change:step", draw);
  signal.addEventListener("abort", () => model.off("change:step", draw));

  wire.subscribe((what, state) => {
    const range = ([start, end]) => ({ start: BigInt(start), end: BigInt(end) });
    firmware = state.data.firmware.map((entry) => ({ ...range(entry), kind: entry[2] }));
    bootmem = state.data.bootmem;
    steps = state.data.steps.map((step) => ({
      ...step,
      calls: step.calls.map(([name, start, end, caller, estimated]) => ({ what: name, ...range([start, end]), caller, estimated })),
    }));
    pieces = cut(steps, firmware);
    page = BigInt(state.data.page_size);
    shell.subtitle(state.data.subtitle);
    const id = shell.root.getAttribute("aria-labelledby");
    let outer = "";
    rows = steps.map((step, i) => {
      const [inner, name] = [step.name.includes(": "), step.name.split(": ").pop()];
      const row = element("div", { class: `kmem-boot-step${inner ? " kmem-boot-inner" : ""}`, role: "option", id: `${id}-step-${i}` },
        element("span", { text: name }), step.calls.length ? element("i", { class: "kmem-boot-dot", title: text("boottimeline.changes") }) : null);
      row.addEventListener("click", () => go(i + 1));
      return row;
    });
    // A function that only calls others is no step; its name stands above theirs.
    fill(list, ...steps.flatMap((step, i) => {
      const caller = step.name.includes(": ") ? step.name.split(": ")[0] : "";
      const first = caller && caller !== outer && steps[i - 1]?.name !== caller;
      outer = caller || step.name;
      return first ? [element("div", { class: "kmem-boot-outer", role: "presentation", text: caller }), rows[i]] : [rows[i]];
    }));
    draw();
  }, signal);

  function paint() {
    if (!steps.length) return;
    const done = now();
    rows.forEach((row, i) => {
      row.setAttribute("aria-selected", String(i === done - 1));
      row.classList.toggle("kmem-boot-done", i < done);
    });
    const row = rows[done - 1];
    if (row) {
      list.setAttribute("aria-activedescendant", row.id);
      const [top, bottom] = [row.offsetTop - list.offsetTop, row.offsetTop - list.offsetTop + row.offsetHeight];
      if (top < list.scrollTop) list.scrollTop = top;
      else if (bottom > list.scrollTop + list.clientHeight) list.scrollTop = bottom - list.clientHeight;
    } else list.removeAttribute("aria-activedescendant");
    const step = steps[done - 1];
    place.textContent = text("boottimeline.place", { step: done, of: steps.length });
    title.textContent = step ? step.name.split(": ").pop() : text("boottimeline.before");
    fill(says, step ? step.says : text("boottimeline.before.says"), step ? element("code", { text: step.source }) : null);
    const state = stateAfter(pieces, steps, done);
    fill(key, ...["usable", "kept", "memory", "reserved", "handed", "fresh"].map((kind) =>
      element("span", {}, element("i", { class: `kmem-boot-swatch kmem-boot-${kind}` }), named(`boottimeline.key.${kind}`))),
    element("span", { text: text("boottimeline.scale") }));
    const bar = (name, kind, label) => element("div", { class: "kmem-boot-bar" },
      element("span", { class: "kmem-boot-label", text: named(`boottimeline.bar.${name}`) }),
      element("div", { class: "kmem-boot-strip", role: "img", "aria-label": label },
        ...pieces.map((piece, i) => element("i", {
          class: `kmem-boot-piece ${kind(piece, i) ? `kmem-boot-${kind(piece, i)}` : ""}${state[i].fresh === name ? " kmem-boot-fresh" : ""}${i === picked ? " kmem-boot-picked" : ""}`,
          style: `flex-grow:${weight(piece)}`, "data-piece": i,
          title: `${hex(piece.start)} – ${hex(piece.end - 1n)}, ${sizeWords(piece.end - piece.start)}${state[i].owner && name === "reserved" ? `, ${state[i].owner}` : ""}`,
        }))));
    const sum = (test) => pieces.reduce((all, piece, i) => (test(state[i]) ? all + piece.end - piece.start : all), 0n);
    const figures = {
      memory: sum((each) => each.memory), reserved: sum((each) => each.memory && each.reserved), handed: sum((each) => each.handed),
    };
    const inFirmware = (piece) => firmware.find((entry) => piece.start >= entry.start && piece.end <= entry.end);
    fill(bars,
      bar("firmware", (piece) => (inFirmware(piece) ? (inFirmware(piece).kind === "usable" ? "usable" : "kept") : ""), text("boottimeline.bar.firmware")),
      ...["memory", "reserved", "handed"].map((name) =>
        bar(name, (_, i) => (state[i][name] ? name : ""), `${named(`boottimeline.bar.${name}`)}: ${sizeWords(figures[name])}`)),
      element("div", { class: "kmem-boot-bar", "aria-hidden": "true" }, element("span"),
        element("div", { class: "kmem-boot-axis" }, ...marks(pieces, wide - LABEL_PX, MARK_PX).map(({ part, start }) =>
          element("code", { style: `left:${100 * part}%`, text: hex(start) })))));
    const words = pieces[picked] ? followed(pieces[picked], state[picked], inFirmware(pieces[picked])) : text("boottimeline.follow");
    piece.textContent = words;
    fill(totals, ...Object.entries(figures).map(([name, value]) => element("div", {},
      element("dt", { text: named(`boottimeline.bar.${name}`) }), element("dd", { text: sizeWords(value) }))));
    // Who asked is a column only where somebody did: what is handed over nobody asked for.
    const columns = ["what", "range", "size", ...(step?.calls.some(({ caller }) => caller) ? ["caller"] : [])];
    const lines = (step?.calls ?? []).map((call) => element("tr", {},
      element("td", { text: call.what }),
      element("td", {}, element("code", { text: `${hex(call.start)} – ${hex(call.end - 1n)}` })),
      element("td", { text: sizeWords(call.end - call.start) }),
      columns.length < 4 ? null : element("td", { text: call.estimated ? text("boottimeline.estimated", { caller: call.caller }) : call.caller })));
    log.hidden = !step?.prints.length;
    log.textContent = step?.prints.join("\n") ?? "";
    fill(calls, lines.length
      ? element("table", { class: "kmem-boot-table" }, element("thead", {}, element("tr", {},
        ...columns.map((name) => element("th", { scope: "col", text: text(`boottimeline.${name}`) })))),
      element("tbody", {}, ...lines))
      : element("p", { class: "kmem-boot-faint", text: text("boottimeline.unchanged") }));
    const said = step ? text("boottimeline.said", { step: done, of: steps.length, name: title.textContent, says: step.says }) : text("boottimeline.before");
    shell.say(picked < 0 ? said : `${said} ${words}`);
  }

  bars.addEventListener("click", (event) => {
    const found = event.target.closest("[data-piece]");
    if (found) follow(Number(found.dataset.piece));
  }, { signal });
  // Shared with linked widgets as the frames of the piece.
  function follow(number) {
    picked = Math.max(0, Math.min(pieces.length - 1, number));
    const { start, end } = pieces[picked];
    focus.set({ start: Number(start / page), count: Number((end - start + page - 1n) / page) });
  }
  focus.subscribe((place) => {
    if (place.start === undefined) return;
    const [at, next] = [BigInt(place.start) * page, (BigInt(place.start) + 1n) * page];
    const holds = ({ start, end }) => end > at && start < next;
    // Of two pieces of one frame the one stays that was picked here.
    if (picked < 0 || !holds(pieces[picked])) picked = pieces.findIndex(holds);
    draw();
  }, signal);
  // What is called after the early allocator: kernels before memblock have one that is called otherwise.
  function named(name) {
    return bootmem ? text(name).replace("memblock.", "bootmem: ").replace("memblock", "bootmem") : text(name);
  }

  // Where a piece of memory stands after the steps so far, in one sentence.
  function followed(of, state, entry) {
    const parts = [
      entry ? text("boottimeline.followed.firmware", { kind: entry.kind }) : text("boottimeline.followed.unknown"),
      state.memory ? named("boottimeline.followed.memory") : null,
      state.reserved ? text(state.owner ? "boottimeline.followed.for" : "boottimeline.followed.reserved", { owner: state.owner }) : null,
      state.handed ? text("boottimeline.followed.handed") : null,
    ].filter(Boolean);
    return `${hex(of.start)} – ${hex(of.end - 1n)}, ${sizeWords(of.end - of.start)}: ${parts.join("; ")}.`;
  }
}
