// Physical memory after so many steps: pieces cut at every address that a call names.

const ROW = { add: "memory", remove: "memory", reserve: "reserved", free: "reserved", "hand over": "handed" };

/** Pieces {start, end} in ascending order; no two calls cut one differently. */
export function cut(steps, firmware) {
  const edges = new Set(firmware.flatMap(({ start, end }) => [start, end]));
  for (const { calls } of steps) for (const { start, end } of calls) edges.add(start).add(end);
  const sorted = [...edges].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return sorted.slice(1).map((end, i) => ({ start: sorted[i], end }));
}

/** For each piece {memory, reserved, owner, handed, fresh} after `done` steps; fresh: what the last of them changed. */
export function stateAfter(pieces, steps, done) {
  const state = pieces.map(() => ({ memory: false, reserved: false, owner: "", handed: false, fresh: "" }));
  steps.slice(0, done).forEach(({ calls }, number) => {
    for (const call of calls) {
      pieces.forEach((piece, i) => {
        if (piece.start < call.start || piece.end > call.end) return;
        const now = state[i];
        if (call.what === "add") now.memory = true;
        else if (call.what === "remove") now.memory = false;
        else if (call.what === "reserve") Object.assign(now, { reserved: true, owner: call.caller || now.owner });
        else if (call.what === "free") now.reserved = false;
        else now.handed = true;
        now.fresh = number === done - 1 ? ROW[call.what] : "";
      });
    }
  });
  return state;
}

/** How wide a piece is drawn: by the logarithm of its size, so that 4 KiB and 1 GiB can both be seen. */
export function weight({ start, end }) {
  return Math.max(1, (end - start).toString(2).length - 9);
}

/** Addresses to write below the pieces [{start, part}], at least `gap` of `wide` pixels apart, the roundest first. */
export function marks(pieces, wide, gap) {
  const sum = pieces.reduce((all, piece) => all + weight(piece), 0);
  let before = 0;
  const all = pieces.map((piece) => {
    const mark = { start: piece.start, part: before / sum, round: piece.start ? piece.start.toString(2).match(/0*$/)[0].length : 64 };
    before += weight(piece);
    return mark;
  });
  const kept = [];
  for (const mark of [...all].sort((a, b) => b.round - a.round)) {
    const fits = mark.part * wide + gap <= wide && kept.every((other) => Math.abs(other.part - mark.part) * wide >= gap);
    if (fits) kept.push(mark);
  }
  return kept;
}
