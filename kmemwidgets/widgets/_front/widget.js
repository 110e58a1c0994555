// What most widgets keep once a model, for all of its views: the wire and the focus.

import { openFocus } from "./focus.js";
import { openWire } from "./wire.js";

/** What anywidget calls once a model; `openView({ model, el, signal, wire, focus })` makes each view. */
export function widgetOf(openView) {
  return () => {
    let wire = null;
    let focus = null;
    return {
      initialize({ model }) {
        wire = openWire(model);
        focus = openFocus(model);
      },
      render({ model, el, signal }) {
        openView({ model, el, signal, wire, focus });
      },
    };
  };
}
