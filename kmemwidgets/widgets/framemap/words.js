// A frame in words.

import { address, count, hex } from "../_front/format.js";
import { text } from "../_front/strings.js";
import { indexOf, zoneOf } from "./geometry.js";

/** "node 0 Normal". */
export function zoneWords(zone) {
  return text("framemap.node_zone", zone);
}

/** What is known of a frame: {pfn, kind, words, zone, step}; null outside the map. */
export function describe(map, bytes, pfn) {
  if (pfn === null || pfn < map.start || pfn >= map.end) return null;
  const code = bytes[indexOf(map, pfn)];
  return { pfn, code, kind: map.kinds[map.kind[code]], words: map.words[code], zone: zoneOf(map, pfn), step: map.step };
}

/** One sentence, for a screen reader and for the line below the map. */
export function sentence(map, frame) {
  if (!frame) return text("framemap.outside");
  const parts = [text("framemap.frame", { pfn: hex(frame.pfn), address: address(frame.pfn, map.page_size) })];
  if (frame.zone) parts.push(zoneWords(frame.zone));
  parts.push(frame.kind.label);
  if (frame.kind.label !== frame.words.join(" ")) {
    parts.push(frame.words.length ? frame.words.join(" ") : text("framemap.noflags"));
  }
  if (frame.step > 1) parts.push(text("framemap.sample", { count: count(frame.step) }));
  return parts.join(", ");
}
