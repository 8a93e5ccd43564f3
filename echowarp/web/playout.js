/**
 * Plays a stream at the sound card's own pace, a target delay after the fastest path.
 *
 * No clock but the one that is passed in, and nothing of the browser: all of it runs under
 * a virtual clock. The delay is known from two steady lines, each the extreme of many
 * jittering moments: how far ahead of local time the fastest blocks are, and how far ahead
 * of it the card is where it asks the earliest. What lies between is what really waits.
 */

import { DriftLoop } from "./drift_loop.js";
import { MediaRing } from "./media_ring.js";
import { Path } from "./path.js";
import { SincTable } from "./resampler.js";
import { SlidingMax } from "./sliding_max.js";
import { CEILING_MS, TargetDelay } from "./target_delay.js";

const CARD_WINDOW_MS = 5000;
const CARD_STOOD_MS = 500;
/** A card that asked for nothing for so long was stopped, and is on another line now. */
const TICK_MS = 1000;
const MOVE_PPM = 3000;
/** The speed of deliberate moves: 3 ms a second, 5 cents. */
const SETTLED_MS = 0.5;
/** The target is reached when it is so near. */
const SETTLING_TICKS = 6;
/**
 * So long after a start the lines are still being found: what looks like an error of the
 * clocks is a better knowledge of the delay.
 */
const JUMP_MS = 10;
/** An error so large comes of no clock: it is the delay that there is. */
const CUT_MS = 200;
/** So much too much is worth a seam; less goes away unheard, by MOVE_PPM. */
const SHED_MS = 5;
const QUIET = 10 ** (-50 / 20);
/** Sound below this may be left out. */
const KEPT_S = (4 * CEILING_MS) / 1000;

const State = Object.freeze({ WAITING: "waiting", PLAYING: "playing" });

export class Playout {
  /**
   * @param {number} rate of the stream, Hz
   * @param {number} channels of the stream
   * @param {number} blockFrames frames that come at once
   * @param {number} outputRate of the sound card, Hz
   */
  constructor({ rate, channels, blockFrames, outputRate, nowMs }) {
    this._rate = rate;
    this._outputRate = outputRate;
    this._table = new SincTable(rate, outputRate);
    const margin = this._table.half + 1;
    this._ring = new MediaRing({ rate, channels, seconds: KEPT_S, margin });
    this._path = new Path();
    this._card = new SlidingMax(CARD_WINDOW_MS);
    this._target = new TargetDelay((blockFrames * 1000) / rate, nowMs);
    this._drift = new DriftLoop(nowMs);
    this._state = State.WAITING;
    this._frame = 0;
    this._fraction = 0;
    this._cardMs = 0;
    this._renderedMs = nowMs;
    this._tickedMs = nowMs;
    this._aimMs = 0;
    this._settling = 0;
    this._jumpTo = null;
    this._gain = 0;
    this._gaps = [];
    this._isOver = false;
    this._played = 0;
    this._concealed = 0;
  }

  /**
   * Takes in a block.
   * @param {number} time media time of its first frame, in frames
   * @param {Int16Array} samples interleaved
   */
  put(time, samples, nowMs) {
    const ring = this._ring;
    if (ring.end === null || time - ring.end > ring.length / 2) this._startAt(time);
    if (time < ring.end) return;
    if (time > ring.end) this._gaps.push({ from: ring.end, to: time });
    const isPlaying = this._state === State.PLAYING;
    ring.write(time, samples, isPlaying ? this._frame + this._table.half + 1 : -Infinity);
    const { lateMs, isNewLine } = this._path.arrived(this._toMs(ring.end), nowMs);
    if (isNewLine) this._target.reset(nowMs);
    else this._target.arrived(lateMs, nowMs);
    if (this._frame < ring.begin) this._wait(ring.begin);
  }

  /** Fills both arrays, of one length, with what is to be heard next. */
  render(left, right, nowMs) {
    const durationMs = (left.length * 1000) / this._outputRate;
    if (nowMs - this._renderedMs > CARD_STOOD_MS) this._card.clear();
    this._renderedMs = nowMs;
    this._card.add(this._cardMs - nowMs, nowMs);
    if (this._state === State.WAITING) this._tryToBegin();
    if (this._state === State.PLAYING) {
      this._tick(nowMs);
      this._play(left, right, durationMs);
    } else {
      left.fill(0);
      right.fill(0);
      if (this._isMissed()) this._concealed += left.length;
    }
    if (this._state === State.PLAYING || this._isMissed()) this._played += left.length;
    this._cardMs += durationMs;
  }

  /** Nothing more will come: what is here is played, and the silence after it is no loss. */
  finish() {
    this._isOver = true;
  }

  /**
   * What is going on. `played` and `concealed` count frames of the sound card and only grow;
   * concealed ones had no sound of the stream to play.
   */
  report() {
    const isKnown = this._ring.end !== null;
    return {
      isPlaying: this._state === State.PLAYING,
      position: this._frame + this._fraction,
      bufferMs: isKnown ? Math.max(0, this._toMs(this._ring.end - this._frame)) : 0,
      targetMs: this._target.targetMs,
      correctionPpm: this._drift.correctionPpm,
      played: this._played,
      concealed: this._concealed,
    };
  }

  /** Whether silence is a loss: the stream has been heard, and goes on. */
  _isMissed() {
    return this._played > 0 && !this._isOver;
  }

  _toMs(frames) {
    return (frames * 1000) / this._rate;
  }

  /** How long after `place`, played next, a block on the fastest path would be late. */
  _levelMs(place) {
    return this._path.leadMs - this._card.value + this._cardMs - this._toMs(place);
  }

  /** The place that leaves a level of `levelMs`. */
  _placeFor(levelMs) {
    return Math.floor(((this._levelMs(0) - levelMs) * this._rate) / 1000);
  }

  _startAt(time) {
    this._ring.startAt(time);
    this._gaps = [];
    this._wait(time);
  }

  _wait(frame) {
    this._state = State.WAITING;
    this._frame = frame;
    this._fraction = 0;
    this._jumpTo = null;
  }

  _tryToBegin() {
    if (this._ring.end === null) return;
    const place = Math.max(this._frame, this._placeFor(this._target.targetMs));
    if (!this._isThere(place) || this._levelMs(place) < this._target.targetMs) return;
    this._frame = place;
    this._gain = 0;
    this._state = State.PLAYING;
    this._learn();
    this._settling = SETTLING_TICKS;
  }

  /** Whether `place` can be played without reading beyond the end. */
  _isThere(place) {
    return place + this._table.half < this._ring.end;
  }

  /** The delay is what it is, and it is by no fault of the clocks. */
  _learn() {
    this._aimMs = this._levelMs(this._frame + this._fraction);
    this._drift.forgive(this._renderedMs);
  }

  _tick(nowMs) {
    if (nowMs - this._tickedMs < TICK_MS) return;
    this._tickedMs = nowMs;
    const errorMs = this._levelMs(this._frame + this._fraction) - this._aimMs;
    if (Math.abs(errorMs) > (this._settling > 0 ? SETTLED_MS : JUMP_MS)) this._learn();
    else this._drift.tick(errorMs, nowMs);
    this._settling = Math.max(0, this._settling - 1);
    const place = this._placeFor(this._target.targetMs);
    if (this._aimMs - this._target.targetMs > CUT_MS && this._isThere(place)) this._jumpTo = place;
  }

  _play(left, right, durationMs) {
    this._shed();
    const step = this._step(durationMs);
    const { channels } = this._ring;
    this._table.read(channels, this._frame, this._fraction, step, left, right);
    if (this._jumpTo !== null) this._crossFade(step, left, right);
    this._fadeIn(left, right);
    this._advance(left.length * step);
    if (this._frame >= this._ring.end + this._ring.fadeFrames) this._wait(this._ring.end);
  }

  /** Frames of the stream for each of the card's. */
  _step(durationMs) {
    const surplusMs = this._aimMs - this._target.targetMs;
    const movePpm = Math.abs(surplusMs) > SETTLED_MS ? Math.sign(surplusMs) * MOVE_PPM : 0;
    this._aimMs -= (durationMs * movePpm) / 1e6;
    const ppm = this._drift.correctionPpm + movePpm;
    return (this._rate / this._outputRate) * (1 + ppm / 1e6);
  }

  /** Leaves out what nobody hears, where the delay is to shrink. */
  _shed() {
    if (this._aimMs - this._target.targetMs < SHED_MS) return;
    const frames = Math.floor((SHED_MS * this._rate) / 1000);
    const { half } = this._table;
    if (!this._isThere(this._frame + frames)) return;
    // What is read around either end of the seam must be quiet as well.
    if (this._ring.peak(this._frame - half, frames + 2 * half) > QUIET) return;
    this._frame += frames;
    this._aimMs -= this._toMs(frames);
  }

  _crossFade(step, left, right) {
    const nextLeft = new Float32Array(left.length);
    const nextRight = new Float32Array(left.length);
    this._table.read(this._ring.channels, this._jumpTo, 0, step, nextLeft, nextRight);
    for (let i = 0; i < left.length; i += 1) {
      const share = (i + 1) / left.length;
      left[i] += (nextLeft[i] - left[i]) * share;
      right[i] += (nextRight[i] - right[i]) * share;
    }
    this._frame = this._jumpTo;
    this._fraction = 0;
    this._jumpTo = null;
    this._learn();
    this._settling = SETTLING_TICKS;
  }

  _fadeIn(left, right) {
    const growth = 1 / ((this._ring.fadeFrames * this._outputRate) / this._rate);
    for (let i = 0; i < left.length && this._gain < 1; i += 1) {
      this._gain = Math.min(1, this._gain + growth);
      left[i] *= this._gain;
      right[i] *= this._gain;
    }
  }

  _advance(frames) {
    const from = this._frame + this._fraction;
    const to = from + frames;
    this._countMissing(from, to);
    this._frame = Math.floor(to);
    this._fraction = to - this._frame;
  }

  _countMissing(from, to) {
    let missing = this._isOver ? 0 : Math.max(0, to - Math.max(from, this._ring.end));
    for (const gap of this._gaps) {
      missing += Math.max(0, Math.min(to, gap.to) - Math.max(from, gap.from));
    }
    while (this._gaps.length > 0 && this._gaps[0].to <= to) this._gaps.shift();
    this._concealed += (missing * this._outputRate) / this._rate;
  }
}
