// The catalogue of visible strings (strings.py), put in by the assembler.

const TEXT = /* catalogue */ {};

/** Text of a key, its {names} filled in. A missing key shows itself. */
export function text(key, values = {}) {
  return (TEXT[key] ?? key).replace(/\{(\w+)\}/g, (all, name) => String(values[name] ?? all));
}
