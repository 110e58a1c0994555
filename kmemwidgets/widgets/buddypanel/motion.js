// Splits and merges as motion: a block that is new comes from where the block that held it was, or that it was made of.

const FLIGHT_MS = 380;
/** More than this at once is a jump in time, not a step: nothing flies. */
const MOST = 64;

/** Where each block stands now: "pfn/order" -> {pfn, order, box}. */
export function places(root) {
  const found = new Map();
  for (const node of root.querySelectorAll(".kmem-bp-block")) {
    const [pfn, order] = [Number(node.dataset.pfn), Number(node.dataset.order)];
    found.set(`${pfn}/${order}`, { pfn, order, box: node.getBoundingClientRect() });
  }
  return found;
}

/** From which old block a new one came: one that held it (split), or one that it holds (merge). */
export function origin(block, gone) {
  const end = block.pfn + 2 ** block.order;
  let best = null;
  for (const old of gone) {
    const holds = old.pfn <= block.pfn && end <= old.pfn + 2 ** old.order;
    const held = block.pfn <= old.pfn && old.pfn + 2 ** old.order <= end;
    if ((holds || held) && (!best || Math.abs(old.order - block.order) < Math.abs(best.order - block.order))) best = old;
  }
  return best;
}

/** Let the blocks that are new since `before` fly to their places. Not for those who want less motion. */
export function fly(root, before, lists) {
  if (!before.size || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const now = new Map();
  const nodes = root.querySelectorAll(".kmem-bp-lists .kmem-bp-block, .kmem-bp-held .kmem-bp-block");
  for (const node of nodes) now.set(`${node.dataset.pfn}/${node.dataset.order}`, node);
  const gone = [...before].filter(([key]) => !now.has(key)).map(([, block]) => block);
  const fresh = [...now].filter(([key]) => !before.has(key));
  if (!gone.length || fresh.length > MOST) return;
  const top = lists.getBoundingClientRect();
  for (const [, node] of fresh) {
    const from = origin({ pfn: Number(node.dataset.pfn), order: Number(node.dataset.order) }, gone);
    if (!from || from.box.bottom < top.top - 400) continue;
    const to = node.getBoundingClientRect();
    if (!to.width) continue;
    node.animate(
      [
        {
          transformOrigin: "top left", opacity: 0.4,
          transform: `translate(${from.box.left - to.left}px, ${from.box.top - to.top}px) scaleX(${from.box.width / to.width})`,
        },
        { transformOrigin: "top left", opacity: 1, transform: "none" },
      ],
      { duration: FLIGHT_MS, easing: "cubic-bezier(.2,.7,.2,1)" },
    );
  }
}
