/** The greatest of the values that were added during the last `windowMs`. */
export class SlidingMax {
  /** @param {number} windowMs */
  constructor(windowMs) {
    this._windowMs = windowMs;
    /** Descending values, with their times: whoever is older and not greater is gone. */
    this._candidates = [];
  }

  /** Undefined before the first value. */
  get value() {
    return this._candidates[0]?.value;
  }

  add(value, nowMs) {
    const candidates = this._candidates;
    while (candidates.length > 0 && candidates.at(-1).value <= value) candidates.pop();
    candidates.push({ value, atMs: nowMs });
    while (candidates[0].atMs <= nowMs - this._windowMs) candidates.shift();
  }

  clear() {
    this._candidates.length = 0;
  }
}
