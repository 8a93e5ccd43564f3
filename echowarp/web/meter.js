/** The level meter: two bars on a scale of dB, the peak of the last moments marked. */

const FLOOR_DB = -60;
const FALL_DB_A_S = 24;
/** Bars fall as those of studio meters do, so that a look finds them. */
const HOLD_MS = 1200;
const SPOKEN_MS = 1000;

export class Meter {
  /** @param {HTMLElement} element with one `.bar` for each side */
  constructor(element) {
    this._element = element;
    this._sides = [...element.querySelectorAll(".bar")].map((bar) => ({
      fill: bar.querySelector(".fill"),
      mark: bar.querySelector(".mark"),
      db: FLOOR_DB,
      peakDb: FLOOR_DB,
      peakMs: 0,
    }));
    this._shownMs = 0;
    this._spokenMs = 0;
  }

  /** @param {{peak: number, rms: number}[]} levels one a side, from 0 to 1 */
  show(levels, nowMs) {
    const fallenDb = (Math.min(200, nowMs - this._shownMs) * FALL_DB_A_S) / 1000;
    this._shownMs = nowMs;
    this._sides.forEach((side, i) => {
      side.db = Math.max(decibels(levels[i].rms), side.db - fallenDb);
      const peakDb = decibels(levels[i].peak);
      if (peakDb >= side.peakDb || nowMs - side.peakMs > HOLD_MS) {
        side.peakDb = peakDb;
        side.peakMs = nowMs;
      }
      draw(side);
    });
    if (nowMs - this._spokenMs < SPOKEN_MS) return;
    this._spokenMs = nowMs;
    const loudest = Math.max(...this._sides.map((side) => side.db));
    this._element.setAttribute("aria-valuenow", loudest.toFixed(0));
    this._element.setAttribute("aria-valuetext", words(loudest));
  }

  clear() {
    for (const side of this._sides) {
      side.db = side.peakDb = FLOOR_DB;
      draw(side);
    }
    this._element.setAttribute("aria-valuenow", FLOOR_DB);
    this._element.setAttribute("aria-valuetext", words(FLOOR_DB));
  }
}

function draw({ fill, mark, db, peakDb }) {
  const hidden = 100 * (1 - share(db));
  fill.style.clipPath = `inset(0 ${hidden}% 0 0)`;
  mark.style.left = `${100 * share(peakDb)}%`;
  mark.hidden = peakDb <= FLOOR_DB;
}

function share(db) {
  return Math.max(0, Math.min(1, 1 - db / FLOOR_DB));
}

function decibels(level) {
  return Math.max(FLOOR_DB, 20 * Math.log10(level));
}

function words(db) {
  return db <= FLOOR_DB ? "silence" : `${db.toFixed(0)} decibels`;
}
