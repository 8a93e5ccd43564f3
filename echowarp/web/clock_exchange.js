/**
 * How far the server's clock is from ours: four timestamps, filtered by the least round trip.
 *
 * Source: RFC 5905, section 8.
 */

const FIRST_ASKS = 5;
const FIRST_INTERVAL_MS = 100;
const INTERVAL_MS = 1000;
const WINDOW_MS = 10_000;
/** The least round trip of so long gives the offset. */
const MAX_ROUND_TRIP_MS = 2000;

export class ClockExchange {
  constructor() {
    this._asked = 0;
    this._samples = [];
  }

  /** Their clock minus ours; null before the first answer. */
  get offsetMs() {
    return this._samples.length === 0 ? null : this._best().offsetMs;
  }

  /** How long after an ask the next one is due: the first ones come quickly. */
  get intervalMs() {
    return this._asked < FIRST_ASKS ? FIRST_INTERVAL_MS : INTERVAL_MS;
  }

  ask(nowMs) {
    this._asked += 1;
    return { type: "clock", t1: nowMs };
  }

  /** Takes an answer; one that makes no sense is dropped. */
  answered({ t1, t2, t3 }, nowMs) {
    const roundTripMs = nowMs - t1 - (t3 - t2);
    if (!(roundTripMs >= 0 && roundTripMs <= MAX_ROUND_TRIP_MS)) return;
    this._samples = this._samples.filter((sample) => nowMs - sample.atMs < WINDOW_MS);
    this._samples.push({ atMs: nowMs, roundTripMs, offsetMs: (t2 - t1 + (t3 - nowMs)) / 2 });
  }

  _best() {
    return this._samples.reduce((a, b) => (b.roundTripMs < a.roundTripMs ? b : a));
  }
}
