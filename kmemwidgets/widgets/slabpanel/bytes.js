// An object's bytes in rows of 16, each with the part of the object that it belongs to.

const WIDTH = 16;

/** [{ address, bytes: [{ value, part, damaged }] }]; the part that is named last covers those before it. */
export function hexRows({ start, data, parts, damaged }) {
  const wrong = new Set(damaged);
  const length = data.length / 2;
  const part = new Array(length).fill("");
  for (const [name, from, to] of parts) part.fill(name, from, to);
  const rows = [];
  for (let row = 0; row < length; row += WIDTH) {
    const bytes = [];
    for (let at = row; at < Math.min(length, row + WIDTH); at += 1) {
      bytes.push({ value: data.slice(2 * at, 2 * at + 2), part: part[at], damaged: wrong.has(at) });
    }
    rows.push({ address: "0x" + (BigInt(start) + BigInt(row)).toString(16), bytes });
  }
  return rows;
}

/** What stands in the object's free pointer, least byte first; null where it has none. */
export function freePointer({ data, parts }) {
  const [, from, to] = parts.find(([name]) => name.startsWith("free pointer")) ?? [];
  if (from === undefined) return null;
  const bytes = data.slice(2 * from, 2 * to).match(/../g).reverse();
  return BigInt(`0x${bytes.join("")}`);
}
