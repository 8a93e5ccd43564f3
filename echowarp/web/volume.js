/** The volume slider and the mute button; what was chosen is kept for the next visit. */

import { byId, setIcon, setText } from "./dom.js";

const KEY = "volume";
const FLOOR_DB = -42;
/** Equal steps of the slider are to sound equal: it runs over decibels, and ends in silence. */

export class Volume extends EventTarget {
  constructor() {
    super();
    this._slider = byId("volume");
    this._mute = byId("mute");
    this._slider.value = recall() ?? 100;
    this._slider.addEventListener("input", () => {
      this._isMuted = false;
      this._change();
    });
    this._mute.addEventListener("click", () => {
      this._isMuted = !this._isMuted;
      this._change();
    });
    this._isMuted = false;
    this._show();
  }

  /** The gain, from 0 to 1. */
  get gain() {
    const share = Number(this._slider.value) / 100;
    return this._isMuted || share === 0 ? 0 : 10 ** ((FLOOR_DB * (1 - share)) / 20);
  }

  _change() {
    remember(this._slider.value);
    this._show();
    this.dispatchEvent(new Event("change"));
  }

  _show() {
    const isSilent = this.gain === 0;
    setText(byId("volume-words"), this._isMuted ? "muted" : `${this._slider.value} %`);
    this._slider.setAttribute("aria-valuetext", `${this._slider.value} percent`);
    this._mute.setAttribute("aria-pressed", String(this._isMuted));
    setIcon(this._mute, isSilent ? "muted" : "sound");
  }
}

// A browser may forbid a page to remember anything, which is no failure.

function recall() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function remember(value) {
  try {
    localStorage.setItem(KEY, value);
  } catch {
    // The slider begins at the top next time.
  }
}
