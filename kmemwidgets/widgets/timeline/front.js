// A timeline: all moments by kind over a scrubber, what happens around the present one, and a player.

import { element, fill, onceAFrame, svgElement } from "../_front/dom.js";
import { count } from "../_front/format.js";
import { ask, openShell, put } from "../_front/shell.js";
import { text } from "../_front/strings.js";
import { openTold } from "../_front/told.js";
import { openWire } from "../_front/wire.js";

const HEIGHT = 66;
const PAGE = 100;
/** As often as a screen shows something new; faster play takes larger steps. */
const FRAME_MS = 50;

/** A model's state: one wire and one player, however many views there are. */
export const widget = () => {
  let wire = null;
  return {
    initialize({ model, signal }) {
      wire = openWire(model);
      openPlayer(model, wire, signal);
    },
    render({ model, el, signal }) {
      openView({ model, el, signal, wire });
    },
  };
};

function openPlayer(model, wire, signal) {
  let timer = 0;
  let last = 0;
  let rest = 0;
  const tick = () => {
    const now = performance.now();
    rest += ((now - last) * model.get("speed")) / 1000;
    last = now;
    const steps = Math.floor(rest);
    if (!steps) return;
    rest -= steps;
    const length = wire.state.data?.length ?? 0;
    const position = Math.min(model.get("position") + steps, length);
    put(model, position >= length ? { position, playing: false } : { position });
  };
  const follow = () => {
    clearInterval(timer);
    timer = 0;
    if (!model.get("playing")) return;
    [last, rest] = [performance.now(), 0];
    timer = setInterval(tick, FRAME_MS);
  };
  model.on("change:playing", follow);
  signal?.addEventListener("abort", () => clearInterval(timer));
  follow();
}

function openView({ model, el, signal, wire }) {
  let data = null;
  const length = () => data?.length ?? 0;
  const go = (position) => put(model, { position: Math.min(Math.max(position, 0), length()) });
  const step = (by) => go(model.get("position") + by);
  const speed = (by) => {
    const all = data?.speeds ?? [];
    const at = all.indexOf(model.get("speed")) + by;
    if (all[at]) put(model, { speed: all[at] });
  };
  const toggle = () => {
    if (!model.get("playing") && model.get("position") >= length()) put(model, { position: 0, playing: true });
    else put(model, { playing: !model.get("playing") });
  };
  const shell = openShell({
    model, el, signal,
    handlers: {
      play: toggle, next: () => step(1), previous: () => step(-1), forward: () => step(PAGE), back: () => step(-PAGE),
      first: () => go(0), last: () => go(length()), faster: () => speed(1), slower: () => speed(-1),
      alike: () => model.send({ kmem: "do", gesture: "alike", args: {} }),
    },
  });
  const tool = (gesture, label) => shell.tool({ label, says: text(`timeline.${gesture}`), gesture, onClick: () => shell.handlers[gesture]() });
  tool("first", "|‹");
  tool("previous", "‹");
  const play = tool("play", "▶");
  tool("next", "›");
  tool("last", "›|");
  if (!shell.about.gestures.find((gesture) => gesture.name === "why").off) {
    shell.tool({ label: text("timeline.why"), says: text("timeline.why.says"), gesture: "why", onClick: () => shell.handlers.why() });
  }
  const pace = element("select", { class: "kmem-tl-speed", "aria-label": text("timeline.speed") });
  pace.addEventListener("change", () => put(model, { speed: Number(pace.value) }), { signal });
  shell.tools.insertBefore(pace, shell.tools.lastChild);

  const picture = element("div", { class: "kmem-tl-picture", "aria-hidden": "true" });
  const scrub = element("input", { type: "range", class: "kmem-tl-scrub", min: 0, step: 1, "aria-label": text("timeline.scrub") });
  const legend = element("div", { class: "kmem-chart-legend" });
  const lines = element("div", { class: "kmem-tl-lines", role: "listbox", tabindex: 0, "aria-label": text("timeline.lines") });
  const said = openTold({ model, signal });
  fill(shell.body, element("div", { class: "kmem-tl-stage" }, picture, scrub), legend, lines, said);
  scrubPicture(picture, (share) => put(model, { position: Math.round(share * length()), playing: false }), signal);
  scrub.addEventListener("input", () => put(model, { position: Number(scrub.value), playing: false }), { signal });
  scrub.addEventListener("keydown", (event) => {
    // The slider's own Page keys would go by a tenth; ours go by a hundred, as in the table.
    if (event.key === "PageDown" || event.key === "PageUp") step(event.key === "PageDown" ? PAGE : -PAGE);
    else if (event.key === " ") toggle();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, { signal });

  const draw = onceAFrame(() => {
    if (!data) return;
    const position = model.get("position");
    scrub.max = String(data.length);
    if (scrub.value !== String(position)) scrub.value = String(position);
    const where = text("timeline.position", { now: count(position), length: count(data.length) });
    scrub.setAttribute("aria-valuetext", where);
    shell.subtitle([data.name, where].filter(Boolean).join(" · "));
    const playing = model.get("playing");
    play.textContent = playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", text(playing ? "timeline.pause" : "timeline.play"));
    if (!pace.options.length) fill(pace, ...data.speeds.map((each) => element("option", { value: each, text: text("timeline.speed.n", { speed: count(each) }) })));
    pace.value = String(model.get("speed"));
    drawPicture(picture, data, position);
    drawLines(lines, data, position, go);
  }, signal);
  const speak = () => {
    if (!data || model.get("playing")) return;
    const line = data.lines.find(([number]) => number === data.now);
    shell.say(line ? `${count(line[0])}: ${line[2]}` : text("timeline.nothing"));
  };
  for (const name of ["position", "playing", "speed"]) {
    model.on(`change:${name}`, draw);
    signal.addEventListener("abort", () => model.off(`change:${name}`, draw));
  }
  let keys = "";
  wire.subscribe((what, state) => {
    data = state.data;
    const now = JSON.stringify(data.kinds.map(([name, color]) => [name, color]));
    if (now !== keys) {
      keys = now;
      fill(legend, ...data.kinds.map(([name, color]) => keyOf(name, color, name === "others" ? null : () => ask(model, "alike", { kind: name }))));
    }
    draw();
    speak();
  }, signal);
}

/** An entry of the legend; a click on one goes to the next moment of its kind. */
function keyOf(name, color, go) {
  const mark = element("i", { style: `--c:${color}` });
  if (!go) return element("span", { class: "kmem-chart-key" }, mark, name);
  return element("button", { type: "button", class: "kmem-chart-key kmem-tl-key", "data-kind": name, title: text("timeline.alike.kind", { kind: name }), on: { click: go } }, mark, name);
}

/** Press anywhere in the picture to go there, and drag on; the slider below does the same by key. */
function scrubPicture(picture, go, signal) {
  const at = (event) => {
    if (!(event.buttons & 1)) return;
    const box = picture.getBoundingClientRect();
    go(Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1));
  };
  picture.addEventListener("pointerdown", (event) => {
    picture.setPointerCapture(event.pointerId);
    at(event);
  }, { signal });
  picture.addEventListener("pointermove", at, { signal });
}

function drawPicture(place, data, position) {
  // Drawn once, and stretched by the page: only the line moves.
  const width = 1000;
  const bins = Math.max(0, ...data.kinds.map(([, , counts]) => counts.length));
  const key = `${data.length}/${data.kinds.map(([name]) => name)}`;
  if (place.dataset.key !== key) {
    place.dataset.key = key;
    const svg = svgElement("svg", { height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, preserveAspectRatio: "none" });
    const sums = Array.from({ length: bins }, (_, i) => data.kinds.reduce((sum, [, , counts]) => sum + counts[i], 0));
    const most = Math.max(1, ...sums);
    const foot = new Array(bins).fill(HEIGHT - 2);
    for (const [name, color, counts] of data.kinds) {
      let path = "";
      counts.forEach((number, i) => {
        const high = ((HEIGHT - 8) * number) / most;
        if (number) path += `M${(i * width) / bins} ${foot[i]}v${-high}h${width / bins}v${high}z`;
        foot[i] -= high;
      });
      svg.append(svgElement("path", { d: path, fill: color, "data-kind": name }));
    }
    svg.append(svgElement("rect", { class: "kmem-tl-future", y: 0, height: HEIGHT }), svgElement("line", { class: "kmem-tl-now", y1: 0, y2: HEIGHT }));
    fill(place, svg);
  }
  const x = data.length ? (width * position) / data.length : 0;
  const future = place.querySelector(".kmem-tl-future");
  future.setAttribute("x", x);
  future.setAttribute("width", Math.max(0, width - x));
  const line = place.querySelector(".kmem-tl-now");
  line.setAttribute("x1", x);
  line.setAttribute("x2", x);
}

function drawLines(place, data, position, go) {
  const colors = new Map(data.kinds.map(([name, color]) => [name, color]));
  const rows = data.lines.map(([number, kind, words]) => {
    const on = number === position;
    return element("div", {
      class: `kmem-tl-line${on ? " kmem-on" : ""}${number > position ? " kmem-tl-later" : ""}`, role: "option", "aria-selected": String(on),
      "data-number": number, on: { click: () => go(number) },
    }, element("span", { class: "kmem-tl-number", text: count(number) }),
    element("i", { style: `--c:${colors.get(kind) ?? colors.get("others") ?? "transparent"}` }),
    element("span", { class: "kmem-tl-words", text: words }));
  });
  fill(place, ...(rows.length ? rows : [element("div", { class: "kmem-tl-line", text: text("timeline.nothing") })]));
}
