// What is on screen as an SVG file: the cells as an image, the words as words.

import { svgElement } from "../_front/dom.js";

const ROW = 20;

/** The map on screen with its legend. */
export function exportSvg(scene, only) {
  const { canvas, map, ratio, ink, paper, theme } = scene;
  const width = canvas.width / ratio;
  const height = canvas.height / ratio;
  const kinds = map.kinds.filter((kind) => !only.length || only.includes(kind.name));
  const all = svgElement("svg", {
    xmlns: "http://www.w3.org/2000/svg",
    viewBox: `0 0 ${width + 220} ${Math.max(height, kinds.length * ROW + 30)}`,
    "font-family": "system-ui, sans-serif",
    "font-size": "12",
    fill: ink,
  });
  all.append(
    svgElement("rect", { width: "100%", height: "100%", fill: paper }),
    svgElement("image", { href: canvas.toDataURL("image/png"), width, height }),
    svgElement("text", { x: width + 16, y: 16, "font-weight": "bold", text: map.name }),
  );
  kinds.forEach((kind, i) => {
    const y = 28 + i * ROW;
    all.append(
      svgElement("rect", { x: width + 16, y, width: 12, height: 12, rx: 2, fill: kind[theme ?? "light"] }),
      svgElement("text", { x: width + 36, y: y + 10, text: kind.label }),
    );
  });
  return new Blob([new XMLSerializer().serializeToString(all)], { type: "image/svg+xml" });
}
