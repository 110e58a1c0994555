// The overview: the whole map, small, with the part on screen framed.

const LARGEST = 150;

/** Size of the overview in CSS pixels. */
export function overviewBox(map) {
  const scale = Math.min(LARGEST / map.columns, (LARGEST * 0.8) / map.height);
  return { width: Math.max(12, Math.round(map.columns * scale)), height: Math.max(12, Math.round(map.height * scale)) };
}

/** Paint it. */
export function paintOverview(canvas, scene, box) {
  const { map, raster, camera, width, height, ratio, lut } = scene;
  const w = Math.round(box.width * ratio);
  const h = Math.round(box.height * ratio);
  canvas.style.width = `${box.width}px`;
  canvas.style.height = `${box.height}px`;
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext("2d");
  const image = new ImageData(w, h);
  raster.paint(new Uint32Array(image.data.buffer), w, h, 0, 0, w / map.columns, lut);
  context.putImageData(image, 0, 0);
  const [sx, sy] = [w / map.columns, h / map.height];
  const seenWide = Math.max(4, (width / camera.scale) * sx);
  const seenHigh = Math.max(4, (height / camera.scale) * sy);
  const [x, y] = [camera.x * sx - seenWide / 2, camera.y * sy - seenHigh / 2];
  for (const [color, line] of [[scene.paper, 4 * ratio], [scene.accent, 2 * ratio]]) {
    context.strokeStyle = color;
    context.lineWidth = line;
    context.strokeRect(x, y, seenWide, seenHigh);
  }
}
