// The frame map's front end. A model's frames and focus are shared by all its views.

import { openFocus } from "../_front/focus.js";
import { openWire } from "../_front/wire.js";
import { Raster } from "./raster.js";
import { openView } from "./view.js";

export const widget = () => {
  const shared = { wire: null, focus: null, raster: null, counts: null, counted: "" };
  return {
    initialize({ model }) {
      shared.wire = openWire(model);
      shared.focus = openFocus(model, model.get("_kmem_id"));
      shared.wire.subscribe((what, state) => {
        // A change is in the bytes already, which the raster only reads.
        if (what === "full") shared.raster = state.bytes && new Raster(state.data, state.bytes);
      });
    },
    render({ model, el, signal }) {
      openView({ model, el, signal, shared });
    },
  };
};
