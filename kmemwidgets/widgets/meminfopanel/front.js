// /proc/meminfo: a treemap of MemTotal, the list of fields, and what the chosen one means.

import { element, fill, onceAFrame, svgElement } from "../_front/dom.js";
import { count } from "../_front/format.js";
import { openShell, put } from "../_front/shell.js";
import { text } from "../_front/strings.js";
import { widgetOf } from "../_front/widget.js";

const HEIGHT = 270;

export const widget = widgetOf(openView);

function openView({ model, el, signal, wire }) {
  let data = null;
  const found = () => {
    const wanted = model.get("search").toLowerCase();
    return (data?.fields ?? []).filter(
      (each) => each.name.toLowerCase().includes(wanted) || each.meaning.toLowerCase().includes(wanted),
    );
  };
  const choose = (name) => put(model, { field: name });
  const step = (names, by) => {
    if (!names.length) return;
    const at = names.indexOf(model.get("field"));
    choose(names[at < 0 ? 0 : Math.min(Math.max(at + by, 0), names.length - 1)]);
  };
  const stepField = (by) => step(found().map((each) => each.name), by);
  const stepPart = (by) => step((data?.parts ?? []).filter((part) => part[model.get("without_free") ? "used" : "all"][2]).map((part) => part.name), by);

  const shell = openShell({
    model, el, signal,
    handlers: {
      next: () => stepField(1), previous: () => stepField(-1), first: () => stepField(-1e9), last: () => stepField(1e9),
      next_part: () => stepPart(1), previous_part: () => stepPart(-1),
      search: () => box.focus(),
      clear: () => put(model, { search: "", field: "" }),
      used: () => put(model, { without_free: !model.get("without_free") }),
    },
  });
  const used = shell.tool({
    label: text("meminfopanel.used"), says: text("meminfopanel.used.says"), gesture: "used", pressed: false,
    onClick: () => shell.handlers.used(),
  });
  const map = element("div", { class: "kmem-mi-map", role: "img" });
  const box = element("input", {
    type: "search", class: "kmem-mi-search", placeholder: text("meminfopanel.search"), "aria-label": text("meminfopanel.search"),
  });
  const list = element("div", { class: "kmem-mi-list", role: "listbox", tabindex: 0, "aria-label": text("meminfopanel.fields") });
  const detail = element("div", { class: "kmem-mi-detail" });
  fill(shell.body, map, element("div", { class: "kmem-mi-columns" }, element("div", {}, box, list), detail));

  box.addEventListener("input", () => put(model, { search: box.value }), { signal });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      put(model, { search: "" });
    } else if (event.key === "Enter" || event.key === "ArrowDown") {
      list.focus();
      if (!found().some((each) => each.name === model.get("field"))) stepField(0);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }, { signal });

  const draw = onceAFrame(() => {
    // In a hidden tab, or while JupyterLab changes its theme: the size observer calls again.
    if (!data || !map.clientWidth) return;
    const chosen = model.get("field");
    const small = model.get("without_free");
    used.setAttribute("aria-pressed", String(small));
    if (box.value !== model.get("search")) box.value = model.get("search");
    drawMap(map, data, chosen, small, choose);
    drawList(list, found(), chosen, data, choose);
    drawDetail(detail, data, chosen);
  }, signal);
  const speak = () => {
    const chosen = data?.fields.find((each) => each.name === model.get("field"));
    const part = data?.parts.find((each) => each.name === model.get("field"));
    shell.say(chosen ? `${chosen.name} ${chosen.value}. ${chosen.meaning}` : (part?.told ?? ""));
  };
  for (const name of ["field", "search", "without_free"]) {
    const changed = () => {
      draw();
      if (name === "field") speak();
      if (name === "search") shell.say(text("meminfopanel.found", { count: found().length }));
    };
    model.on(`change:${name}`, changed);
    signal.addEventListener("abort", () => model.off(`change:${name}`, changed));
  }
  wire.subscribe((what, state) => {
    data = state.data;
    shell.subtitle([data.name, data.kernel && `Linux ${data.kernel}`, total(data)].filter(Boolean).join(" · "));
    draw();
    speak();
  }, signal);
  const resize = new ResizeObserver(draw);
  resize.observe(map);
  signal.addEventListener("abort", () => resize.disconnect());
}

function total(data) {
  return text("meminfopanel.total", { kb: count(data.parts.reduce((sum, part) => sum + part.kb, 0)) });
}

const GROUPS = { free: "free", processes: "processes", "page cache": "cache", kernel: "kernel", unaccounted: "unaccounted" };

function drawMap(place, data, chosen, small, choose) {
  const width = Math.max(200, place.clientWidth);
  const svg = svgElement("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}` });
  const hatch = `kmem-mi-hatch-${Math.random().toString(36).slice(2)}`;
  svg.append(svgElement("defs", {}, svgElement("pattern", { id: hatch, width: 8, height: 8, patternUnits: "userSpaceOnUse" },
    svgElement("path", { class: "kmem-mi-hatch", d: "M0 8L8 0" }))));
  for (const part of data.parts) {
    const [x, y, w, h] = small ? part.used : part.all;
    if (!w) continue;
    const on = chosen === part.name || part.fields.includes(chosen);
    const group = svgElement("g", {
      class: `kmem-mi-part kmem-mi-${GROUPS[part.group]}${on ? " kmem-on" : ""}`, "data-part": part.name, on: { click: () => choose(part.name) },
    }, svgElement("title", { text: `${part.told}${part.says ? ` (${part.says})` : ""}` }));
    const box = { x: x * width + 1, y: y * HEIGHT + 1, width: Math.max(0.6, w * width - 2), height: Math.max(0.6, h * HEIGHT - 2), rx: 3 };
    group.append(svgElement("rect", box));
    if (part.group === "unaccounted") group.append(svgElement("rect", { ...box, class: "kmem-mi-over", style: `fill:url(#${hatch})` }));
    label(group, box, part);
    svg.append(group);
  }
  place.setAttribute("aria-label", [total(data), ...data.parts.filter((part) => part.kb).map((part) => part.told)].join("; "));
  const keys = Object.entries(GROUPS).map(([name, look]) => element("span", { class: `kmem-mi-key kmem-mi-${look}` },
    element("i"), element("span", { text: text(`meminfopanel.group.${look}`), "data-term": look === "unaccounted" ? look : null })));
  fill(place, svg, element("div", { class: "kmem-mi-keys" }, ...keys,
    element("span", { class: "kmem-mi-soft", text: text(small ? "meminfopanel.of_used" : "meminfopanel.of_all") })));
  const rest = data.parts.find((part) => part.group === "unaccounted");
  if (rest.kb < 0) place.append(element("p", { class: "kmem-mi-soft", text: text("meminfopanel.negative", { kb: count(-rest.kb) }) }));
}

function label(group, box, part) {
  const lines = [part.name, `${count(part.kb)} kB`];
  const turned = box.width < 40 && box.height > 90;
  const room = turned ? box.height : box.width;
  if (room < Math.max(...lines.map((line) => line.length)) * 7.4 + 10 || (turned ? box.width : box.height) < 18) return;
  const two = (turned ? box.width : box.height) > 36;
  lines.slice(0, two ? 2 : 1).forEach((line, i) => {
    const [x, y] = turned ? [box.x + 15 + 15 * i, box.y + 7] : [box.x + 7, box.y + 16 + 15 * i];
    group.append(svgElement("text", {
      class: i ? "kmem-mi-soft" : "", x, y, transform: turned ? `rotate(90 ${x - 10} ${y})` : null, text: line,
    }));
  });
}

function drawList(list, fields, chosen, data, choose) {
  const whole = data.parts.reduce((sum, part) => sum + part.kb, 0);
  const rows = [];
  let group = "";
  for (const each of fields) {
    if (each.group !== group) {
      group = each.group;
      rows.push(element("div", { class: "kmem-mi-group", role: "presentation", text: group }));
    }
    const on = each.name === chosen;
    const share = each.kb === null ? 0 : Math.min(1, each.kb / whole);
    rows.push(element("div", {
      class: `kmem-mi-row${on ? " kmem-on" : ""}`, role: "option", "aria-selected": String(on), "data-field": each.name,
      id: `${list.parentElement.parentElement.parentElement.parentElement.getAttribute("aria-labelledby")}-${each.name}`,
      on: { click: () => { choose(each.name); list.focus({ preventScroll: true }); } },
    }, element("span", { text: each.name }), element("span", { class: "kmem-mi-value", text: each.value }),
    element("i", { style: `width:${100 * share}%` })));
  }
  const top = list.scrollTop;
  fill(list, ...(rows.length ? rows : [element("p", { class: "kmem-mi-soft", text: text("meminfopanel.nothing") })]));
  list.scrollTop = top;
  const row = list.querySelector(".kmem-mi-row.kmem-on");
  if (row) {
    list.setAttribute("aria-activedescendant", row.id);
    if (row.offsetTop < list.scrollTop) list.scrollTop = row.offsetTop - 24;
    if (row.offsetTop + row.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = row.offsetTop + row.offsetHeight - list.clientHeight;
  } else list.removeAttribute("aria-activedescendant");
}

function drawDetail(place, data, chosen) {
  const each = data.fields.find((field) => field.name === chosen);
  const part = data.parts.find((one) => one.name === chosen);
  if (!each && !part) {
    fill(place, element("p", { class: "kmem-mi-soft", text: text("meminfopanel.hint") }),
      ...data.notes.map((note) => element("p", { class: "kmem-mi-soft", text: note })));
    return;
  }
  const rows = [];
  const row = (key, value, look = "") => value && rows.push(element("dt", { text: text(`meminfopanel.${key}`) }), element("dd", { class: look }, value));
  if (each) {
    row("formula", element("code", { text: each.formula }));
    row("worked", each.worked && element("span", {}, element("span", { class: "kmem-mi-worked", text: each.worked }),
      element("span", { class: `kmem-mi-verdict${each.agrees ? "" : " kmem-mi-off"}`, text: each.verdict })));
    row("leaves_out", each.leaves_out);
    row("inside", each.inside);
    row("source", element("code", { text: each.source }));
    row("since", each.since && `Linux ${each.since}`);
  }
  if (part) row("part", [part.told, part.says].filter(Boolean).join("; "));
  fill(place,
    element("h4", {}, element("span", { text: chosen }), element("span", { class: "kmem-mi-big", text: each ? `${each.value}${each.size ? ` · ${each.size}` : ""}` : "" })),
    each ? element("p", { text: each.meaning }) : "",
    element("dl", {}, ...rows));
}
