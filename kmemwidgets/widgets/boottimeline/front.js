// BootTimeline: the steps at the left, physical memory as it is after them at the right.

import { element, fill, onceAFrame } from "../_front/dom.js";
import { hex, sizeWords } from "../_front/format.js";
import { openShell, put } from "../_front/shell.js";
import { text } from "../_front/strings.js";
import { widgetOf } from "../_front/widget.js";
import { cut, stateAfter } from "./memory.js";

export const widget = widgetOf(openView);

function openView({ model, el, signal, wire }) {
  let steps = [];
  let firmware = [];
  let pieces = [];
  let rows = [];
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
  };
  const shell = openShell({ model, el, signal, handlers });
  for (const [gesture, label] of [["first", "|◀"], ["previous_change", "◀◀"], ["previous", "◀"], ["next", "▶"], ["next_change", "▶▶"], ["last", "▶|"]]) {
    shell.tool({ label, says: text(`boottimeline.${gesture}`), onClick: handlers[gesture], gesture });
  }
  const list = element("div", { class: "kmem-boot-list", tabindex: "0", role: "listbox", "aria-label": text("boottimeline.steps") });
  const title = element("h3", { class: "kmem-boot-title" });
  const says = element("p", { class: "kmem-boot-says" });
  const bars = element("div", { class: "kmem-boot-bars" });
  const totals = element("dl", { class: "kmem-boot-totals" });
  const calls = element("div", { class: "kmem-boot-calls" });
  const log = element("pre", { class: "kmem-boot-log", role: "group", hidden: true, tabindex: "0", "aria-label": text("boottimeline.prints") });
  fill(shell.body, element("div", { class: "kmem-boot-two" }, list,
    element("div", { class: "kmem-boot-main" }, title, says, log, bars, totals, calls)));
  const draw = onceAFrame(paint, signal);
  model.on("change:step", draw);
  signal.addEventListener("abort", () => model.off("change:step", draw));

  wire.subscribe((what, state) => {
    const range = ([start, end]) => ({ start: BigInt(start), end: BigInt(end) });
    firmware = state.data.firmware.map((entry) => ({ ...range(entry), kind: entry[2] }));
    steps = state.data.steps.map((step) => ({
      ...step,
      calls: step.calls.map(([name, start, end, caller, estimated]) => ({ what: name, ...range([start, end]), caller, estimated })),
    }));
    pieces = cut(steps, firmware);
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
    title.textContent = step ? step.name.split(": ").pop() : text("boottimeline.before");
    fill(says, step ? step.says : text("boottimeline.before.says"), step ? element("code", { text: step.source }) : null);
    const state = stateAfter(pieces, steps, done);
    const weight = (piece) => Math.max(1, (piece.end - piece.start).toString(2).length - 9);
    const bar = (name, kind, label) => element("div", { class: "kmem-boot-bar" },
      element("span", { class: "kmem-boot-label", text: text(`boottimeline.bar.${name}`) }),
      element("div", { class: "kmem-boot-strip", role: "img", "aria-label": label },
        ...pieces.map((piece, i) => element("i", {
          class: `kmem-boot-piece ${kind(piece, i) ? `kmem-boot-${kind(piece, i)}` : ""}${state[i].fresh === name ? " kmem-boot-fresh" : ""}`,
          style: `flex-grow:${weight(piece)}`,
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
        bar(name, (_, i) => (state[i][name] ? name : ""), `${text(`boottimeline.bar.${name}`)}: ${sizeWords(figures[name])}`)));
    fill(totals, ...Object.entries(figures).flatMap(([name, value]) => [
      element("dt", { text: text(`boottimeline.bar.${name}`) }), element("dd", { text: sizeWords(value) })]));
    const lines = (step?.calls ?? []).map((call) => element("tr", {},
      element("td", { text: call.what }),
      element("td", {}, element("code", { text: `${hex(call.start)} – ${hex(call.end - 1n)}` })),
      element("td", { text: sizeWords(call.end - call.start) }),
      element("td", { text: call.estimated ? text("boottimeline.estimated", { caller: call.caller }) : call.caller })));
    log.hidden = !step?.prints.length;
    log.textContent = step?.prints.join("\n") ?? "";
    fill(calls, lines.length
      ? element("table", { class: "kmem-boot-table" }, element("thead", {}, element("tr", {},
        ...["what", "range", "size", "caller"].map((name) => element("th", { scope: "col", text: text(`boottimeline.${name}`) })))),
      element("tbody", {}, ...lines))
      : element("p", { class: "kmem-boot-faint", text: text("boottimeline.unchanged") }));
    shell.say(step ? text("boottimeline.said", { step: done, of: steps.length, name: title.textContent, says: step.says }) : text("boottimeline.before"));
  }
}
