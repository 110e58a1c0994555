// The receiving end of the wire (kmemwidgets/widgets/_wire.py has the sending end).
//
// "ask"   -> the kernel sends everything
// "full"  <- epoch, seq, data (JSON), and the bytes, deflated
// "delta" <- epoch, seq, prev; parts of data that changed; ranges and their bytes
// A delta whose prev is not our seq means that one was lost: ask again.

/** An answer that has not come by then is lost; the next gap asks again. */
const PATIENCE_MS = 3000;

/** Nothing known yet. */
export function blankState() {
  return { epoch: 0, seq: 0, data: null, bytes: null };
}

/** zlib's inverse, by the browser itself. */
export async function inflate(buffer) {
  const stream = new Blob([buffer]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Pairs (start, length) of a little-endian u32 buffer. */
export function readRanges(view) {
  const copy = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  return new Uint32Array(copy);
}

/**
 * Take in one message. Returns what it was: "full", "delta", "old" (known already)
 * or "gap" (something was lost; the state is as it was).
 */
export async function take(state, message, buffers = []) {
  if (message.kmem === "full") {
    if (message.epoch < state.epoch || (message.epoch === state.epoch && message.seq <= state.seq)) return "old";
    const bytes = buffers.length ? await unpack(message, buffers[0]) : null;
    Object.assign(state, { epoch: message.epoch, seq: message.seq, data: message.data, bytes });
    return "full";
  }
  if (message.epoch < state.epoch || (message.epoch === state.epoch && message.seq <= state.seq)) return "old";
  if (message.epoch !== state.epoch || message.prev !== state.seq) return "gap";
  const ranges = buffers.length ? readRanges(buffers[0]) : new Uint32Array(0);
  const codes = buffers.length > 1 ? await unpack(message, buffers[1]) : null;
  for (let i = 0, at = 0; i < ranges.length; i += 2) {
    state.bytes.set(codes.subarray(at, at + ranges[i + 1]), ranges[i]);
    at += ranges[i + 1];
  }
  if (message.data) state.data = { ...state.data, ...message.data };
  state.seq = message.seq;
  state.ranges = ranges;
  return "delta";
}

async function unpack(message, view) {
  if (message.packed) return inflate(view);
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
}

/**
 * The state of one model, shared by all its views.
 * `subscribe(fn)` calls fn("full" | "delta", state) after each change, and at once where there is something.
 */
export function openWire(model) {
  const state = blankState();
  const readers = new Set();
  let queue = Promise.resolve();
  let asked = -Infinity;

  const ask = () => {
    if (performance.now() - asked < PATIENCE_MS) return;
    asked = performance.now();
    try {
      model.send({ kmem: "ask", epoch: state.epoch, seq: state.seq });
    } catch {
      asked = -Infinity; // no kernel: what is on screen stays
    }
  };
  const receive = async (message, buffers) => {
    const what = await take(state, message, buffers);
    if (message.kmem === "full") asked = -Infinity;
    if (what === "gap") ask();
    if (what === "full" || what === "delta") for (const reader of [...readers]) reader(what, state);
  };
  model.on("msg:custom", (message, buffers) => {
    if (message?.kmem === "full" || message?.kmem === "delta") {
      // One after the other: inflating takes turns, and the order is what the numbers stand for.
      queue = queue.then(() => receive(message, buffers)).catch((error) => console.error(error));
    }
  });
  return {
    state,
    ask,
    subscribe(reader, signal) {
      readers.add(reader);
      signal?.addEventListener("abort", () => readers.delete(reader));
      if (state.data) reader("full", state);
      else ask();
    },
  };
}
