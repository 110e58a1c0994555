// What is looked at, shared by linked widgets: one Focus model, referred to by each of them.

const PREFIX = "IPY_MODEL_";

/**
 * The widget's Focus. `get()` is the place ({node, zone, start, count, cache, address, event, origin},
 * what is not known left out); `set(place)` tells all linked widgets and the kernel;
 * `subscribe(fn)` calls fn(place, mine) after each change, and at once.
 */
export function openFocus(model) {
  // Read when needed: the widget learns its own id only after it was made.
  const me = () => model.get("_kmem_id");
  let shared = null;
  let early = null;
  const readers = new Set();
  const get = () => shared?.get("place") ?? early ?? {};
  const tell = () => {
    const place = get();
    for (const reader of [...readers]) reader(place, place.origin === me());
  };
  const attach = async () => {
    const name = model.get("focus");
    if (typeof name !== "string" || !name.startsWith(PREFIX)) return;
    const next = await model.widget_manager.get_model(name.slice(PREFIX.length));
    shared?.off("change:place", tell);
    shared = next;
    shared.on("change:place", tell);
    if (early) publish(early);
    tell();
  };
  const publish = (place) => {
    early = null;
    shared.set("place", place);
    try {
      shared.save_changes();
    } catch {
      // no kernel: the widgets on this page still agree
    }
  };
  model.on("change:focus", attach);
  attach().catch((error) => console.error(error));
  return {
    get,
    set(place) {
      const whole = { ...place, origin: me() };
      if (shared) publish(whole);
      else {
        early = whole;
        tell();
      }
    },
    subscribe(reader, signal) {
      readers.add(reader);
      signal?.addEventListener("abort", () => readers.delete(reader));
      const place = get();
      if (Object.keys(place).length) reader(place, place.origin === me());
    },
  };
}
