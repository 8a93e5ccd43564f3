/** Delay and loss over the last minute, one point a second, in two lanes of one drawing. */

import { milliseconds, percent } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const SECONDS = 60;
const DELAY = { name: "Delay", unit: "ms", top: 22, height: 92, least: 50 };
const LOSS = { name: "Loss", unit: "%", top: 148, height: 40, least: 5, most: 100 };
const BOTTOM = 208;
const RIGHT = 40;
/** Room for the numbers of the scales. */
const ROOMY = 400;
/** Below it every other time is named. */
const STEPS = [1, 2, 5, 10];

export class Plot {
  /**
   * @param {SVGElement} svg where to draw
   * @param {HTMLElement} readout tells the values at the pointer
   */
  constructor(svg, readout) {
    this._svg = svg;
    this._readout = readout;
    this._points = [];
    this._picked = null;
    new ResizeObserver(() => this._draw()).observe(svg);
    svg.addEventListener("pointermove", (event) => this._pick(this._ageAt(event.offsetX)));
    svg.addEventListener("pointerleave", () => this._pick(null));
    svg.addEventListener("blur", () => this._pick(null));
    svg.addEventListener("keydown", (event) => this._onKey(event));
  }

  /** One second more; null where nothing is known. */
  add(delayMs, lossPercent) {
    this._points.push({ delayMs, lossPercent });
    if (this._points.length > SECONDS + 1) this._points.shift();
    this._draw();
  }

  clear() {
    this._points = [];
    this._picked = null;
    this._draw();
  }

  get _width() {
    return Math.max(120, this._svg.clientWidth) - RIGHT;
  }

  _x(age) {
    return this._width * (1 - age / SECONDS);
  }

  _ageAt(x) {
    const age = Math.round((1 - x / this._width) * SECONDS);
    return Math.max(0, Math.min(SECONDS, age));
  }

  _onKey(event) {
    const move = { ArrowLeft: 1, ArrowRight: -1 }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    this._pick(Math.max(0, Math.min(SECONDS, (this._picked ?? 0) + move)));
  }

  _pick(age) {
    this._picked = age;
    this._draw();
  }

  _draw() {
    const shapes = [...this._times()];
    for (const [lane, key] of [[DELAY, "delayMs"], [LOSS, "lossPercent"]]) {
      const known = this._points.map((point) => point[key]).filter((value) => value !== null);
      const top = Math.min(lane.most ?? Infinity, nice(Math.max(lane.least, ...known)));
      const y = (value) => lane.top + lane.height * (1 - Math.min(1, value / top));
      shapes.push(...this._scale(lane, top, y));
      shapes.push(...(lane === DELAY ? this._line(key, y) : this._columns(key, y)));
    }
    if (this._picked !== null) {
      const x = this._x(this._picked);
      shapes.push(shape("line", { class: "cursor", x1: x, x2: x, y1: DELAY.top, y2: BOTTOM - 18 }));
    }
    this._svg.replaceChildren(...shapes);
    this._readout.textContent = this._picked === null ? "" : this._words(this._picked);
    this._svg.setAttribute("aria-label", this._summary());
  }

  *_times() {
    for (const age of this._width < ROOMY ? [60, 30, 0] : [60, 45, 30, 15, 0]) {
      const anchor = { 60: "start", 0: "end" }[age] ?? "middle";
      const words = age === 0 ? "now" : `−${age} s`;
      yield label(words, { x: this._x(age), y: BOTTOM, "text-anchor": anchor });
    }
  }

  *_scale(lane, top, y) {
    yield label(`${lane.name}, ${lane.unit}`, { class: "lane", x: 0, y: lane.top - 8 });
    for (const value of lane === DELAY ? [0, top / 2, top] : [0, top]) {
      yield shape("line", { class: "grid", x1: 0, x2: this._width, y1: y(value), y2: y(value) });
      yield label(String(value), { x: this._width + 8, y: y(value) + 4 });
    }
  }

  /** A line, broken where nothing is known, and a dot at its newest end. */
  *_line(key, y) {
    let path = "";
    let isDrawing = false;
    this._points.forEach((point, i) => {
      const value = point[key];
      if (value !== null) {
        const x = this._x(this._points.length - 1 - i);
        path += `${isDrawing ? "L" : "M"}${x.toFixed(1)} ${y(value).toFixed(1)}`;
      }
      isDrawing = value !== null;
    });
    yield shape("path", { class: "delay", d: path || "M0 0" });
    const newest = this._points.at(-1)?.[key] ?? null;
    if (newest !== null) {
      yield shape("circle", { class: "newest", cx: this._x(0), cy: y(newest), r: 4 });
    }
  }

  *_columns(key, y) {
    const width = Math.max(2, this._width / SECONDS - 2);
    for (const [i, point] of this._points.entries()) {
      if (!(point[key] > 0)) continue;
      const x = this._x(this._points.length - 1 - i) - width;
      const height = Math.max(2, y(0) - y(point[key]));
      yield shape("rect", { class: "loss", x, y: y(0) - height, width, height, rx: 1 });
    }
  }

  _words(age) {
    const point = this._points.at(-1 - age);
    if (point === undefined) return "";
    const when = age === 0 ? "now" : `${age} s ago`;
    const { delayMs, lossPercent } = point;
    return `${when}: ${milliseconds(delayMs)} ms, ${percent(lossPercent)} % lost`;
  }

  _summary() {
    const delays = this._points.map((point) => point.delayMs).filter((value) => value !== null);
    if (delays.length === 0) return "Delay and loss over the last minute: nothing yet";
    const [least, most] = [Math.min(...delays), Math.max(...delays)].map(milliseconds);
    const lost = this._points.filter((point) => point.lossPercent > 0).length;
    const losses = lost === 0 ? "no losses" : `losses in ${lost} of ${this._points.length} seconds`;
    return `Delay over the last minute from ${least} to ${most} milliseconds, ${losses}`;
  }
}

/** The least round number that is no less. */
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * STEPS.find((step) => step * power >= value);
}

function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function label(words, attributes) {
  const element = shape("text", attributes);
  element.textContent = words;
  return element;
}
