// Numbers in words, the same as kmemwidgets/widgets/_words.py writes them.

/** 131072 -> "131,072". */
export function count(number) {
  return String(number).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** Bytes as the nearest unit: 536870912 -> "512 MiB", 1.5 GiB with one decimal where it isn't whole. */
export function sizeWords(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let unit = 0;
  let value = Number(number);
  while (Math.round(value * 10) >= 10240 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const tenths = Math.round(value * 10);
  return `${tenths % 10 ? (tenths / 10).toFixed(1) : tenths / 10} ${units[unit]}`;
}

/** 4096 -> "0x1000". Takes BigInt as well. */
export function hex(number) {
  return "0x" + number.toString(16);
}

/** The physical address of a frame; exact beyond 2^53. */
export function address(pfn, pageSize) {
  return hex(BigInt(pfn) * BigInt(pageSize));
}
