// The picture: physical memory at the left, the kernel's addresses at the right, lines for what is mapped just now.

import { fill, svgElement } from "../_front/dom.js";
import { sizeWords } from "../_front/format.js";
import { text } from "../_front/strings.js";
import { framePart } from "./geometry.js";

const TOP = 22;
const BAR = 64;
const LEFT = 12;
/** More lines than this are a blur; the picked frame's are always drawn. */
const MOST_LINES = 160;

/** Frame number at a height of the picture. */
export function frameAt(y, height, end) {
  const part = 1 - (y - TOP) / (height - TOP - 4);
  return Math.min(end - 1, Math.max(0, Math.floor(part * end)));
}

/** Whether a point lies on physical memory. */
export function onMemory(x) {
  return x >= LEFT - 6 && x <= LEFT + BAR + 6;
}

/** Draw the picture into `svg`; returns the lines by their name, so that new ones can be set in motion. */
export function drawStage(svg, { wide, height, data, scale, lines, pfn }) {
  const inner = height - TOP - 4;
  const up = (part) => TOP + inner * (1 - part);
  const right = Math.max(LEFT + BAR + 90, wide - 306);
  const low = framePart(data.first, data.end);
  const page = data.page_size;
  const direct = scale.placed.find(({ kind }) => kind === "direct");
  const rect = (x, from, to, kind, area) => svgElement("rect", {
    x, y: up(to), width: BAR, height: Math.max(2, up(from) - up(to) - 1), class: `kmem-high-band kmem-high-${kind}`, "data-area": area,
  });
  const word = (words, x, y, kind = "", area = null) =>
    svgElement("text", { x, y, class: `kmem-high-word ${kind}`, text: words, "data-area": area });
  const parts = [
    word(text("highmempanel.physical"), LEFT, 13, "kmem-high-soft"),
    word(text("highmempanel.addresses"), right, 13, "kmem-high-soft"),
    rect(LEFT, 0, low, "direct"),
    rect(LEFT, low, 1, "ram"),
  ];
  if (direct) {
    // All of low memory, frame beside frame.
    parts.push(svgElement("path", {
      class: "kmem-high-beam",
      d: `M${LEFT + BAR} ${up(low)} L${right} ${up(direct.to)} V${up(direct.from)} L${LEFT + BAR} ${up(0)} Z`,
    }));
  }
  scale.placed.forEach((area, i) => {
    const middle = (up(area.from) + up(area.to)) / 2 + 4;
    const number = String(i);
    parts.push(rect(right, area.from, area.to, area.kind, number),
      word(`0x${area.start.toString(16)}`, right + BAR + 8, middle, "kmem-high-mono", number),
      word(area.name, right + BAR + 84, middle, "", number),
      word(sizeWords(area.end - area.start), right + BAR + 186, middle, "kmem-high-soft", number));
  });
  const named = new Map();
  const shown = lines.length > MOST_LINES ? lines.filter((line, i) => line.pfn === pfn || i >= lines.length - MOST_LINES) : lines;
  for (const line of shown) {
    const to = scale.part(line.address);
    if (to === null) continue;
    const [y1, y2] = [up(framePart(line.pfn, data.end)), up(to)];
    const half = (LEFT + BAR + right) / 2;
    const path = svgElement("path", {
      class: `kmem-high-line kmem-high-${line.kind}${line.pfn === pfn ? " kmem-high-mine" : ""}`, pathLength: "1", "data-pfn": line.pfn,
      d: `M${LEFT + BAR} ${y1} C${half} ${y1} ${half} ${y2} ${right} ${y2}`,
    });
    named.set(`${line.kind} ${line.pfn} ${line.address}`, path);
    parts.push(path);
  }
  const y = up(framePart(pfn, data.end));
  parts.push(
    word(text("highmempanel.high", { size: sizeWords((data.end - data.first) * page) }), LEFT + BAR + 8, TOP + 13),
    word(text("highmempanel.low", { size: sizeWords(data.first * page) }), LEFT + BAR + 8, up(0) - 5),
    svgElement("path", { class: "kmem-high-boundary", d: `M${LEFT - 4} ${up(low)} h${BAR + 8}` }),
    svgElement("path", { class: "kmem-high-pointer", d: `M${LEFT - 8} ${y - 5} l8 5 l-8 5 z M${LEFT} ${y} h${BAR}` }),
  );
  svg.setAttribute("viewBox", `0 0 ${wide} ${height}`);
  svg.setAttribute("width", wide);
  svg.setAttribute("height", height);
  fill(svg, ...parts);
  return named;
}
