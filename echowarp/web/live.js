/** The section that plays the live sound: its button, what it says and what it shows. */

import { byId, setIcon, setText } from "./dom.js";
import { Meter } from "./meter.js";
import { Player } from "./player.js";
import { Plot } from "./plot.js";
import { milliseconds, percent } from "./words.js";

const WORDS = {
  ready: "Ready to play",
  connecting: "Connecting…",
  joined: "Connected; the server sends no sound now",
  waiting: "Waiting for sound…",
  playing: "Playing",
  lost: "The connection is lost; trying again…",
  retrying: "The connection is lost; trying again…",
  suspended: "The browser has stopped the sound",
  failed: "This browser cannot play the sound",
};
const RESUMED = "Go on";

export class Live extends EventTarget {
  constructor() {
    super();
    this._player = new Player();
    this._meter = new Meter(byId("meter"));
    this._plot = new Plot(byId("plot"), byId("readout"));
    this._button = byId("play");
    this._isHeldBack = false;
    this._last = null;
    /** What the server said before it went. */
    this._button.addEventListener("click", () => this._press());
    this._wire();
    this._show("ready");
    if (Player.isPossible) this._button.disabled = false;
    else this._explain();
  }

  get isOn() {
    return this._player.isOn;
  }

  set volume(volume) {
    this._player.volume = volume;
  }

  stop() {
    if (!this.isOn) return;
    this._player.stop();
    this._isHeldBack = false;
    this._meter.clear();
    this._showFigures({ delayMs: null, lossPercent: null, bufferMs: null });
    this._show("ready");
  }

  _wire() {
    const on = (type, handle) => {
      this._player.addEventListener(type, ({ detail }) => handle(detail));
    };
    on("state", (detail) => this._onState(detail));
    on("message", (message) => this._onMessage(message));
    on("context", (state) => this._onContext(state));
    on("levels", (levels) => {
      // A page that nobody sees draws nothing.
      if (!document.hidden) this._meter.show(levels, performance.now());
    });
    on("figures", (figures) => {
      this._showFigures(figures);
      this._plot.add(figures.delayMs, figures.lossPercent);
      if (this._state === "playing" || this._state === "waiting") {
        this._show(figures.isPlaying ? "playing" : "waiting");
      }
    });
  }

  async _press() {
    if (this._isHeldBack) {
      this._player.resume();
    } else if (this.isOn) {
      this.stop();
    } else {
      this.dispatchEvent(new Event("start"));
      this._plot.clear();
      this._last = null;
      try {
        await this._player.start();
      } catch (error) {
        this._player.stop();
        this._show("failed", `${WORDS.failed}: ${error.message}`);
      }
    }
  }

  _onState({ state, message }) {
    if (state === "login") {
      this.stop();
      this.dispatchEvent(new Event("login"));
      return;
    }
    // Why the server went is worth more than that it did.
    if (state === "lost") this._last = message ?? this._last;
    if (state === "joined") this._last = null;
    const isAway = state === "lost" || state === "retrying";
    this._show(state, isAway && this._last ? this._lastWords() : undefined);
  }

  _lastWords() {
    return `The server says: ${this._last}. Trying again…`;
  }

  _onMessage(message) {
    if (message.type === "stream") this._show("waiting");
    else if (message.type === "end") this._show("joined", `The sound has ended: ${message.reason}`);
    else if (message.type === "status") {
      this.dispatchEvent(new CustomEvent("status", { detail: message }));
    }
  }

  _onContext(state) {
    this._isHeldBack = state === "suspended" || state === "interrupted";
    if (this._isHeldBack) this._show("suspended");
    else if (this._state === "suspended") this._show("waiting");
  }

  _show(state, words = WORDS[state]) {
    this._state = state;
    document.body.dataset.state = state;
    setText(byId("state"), words);
    const isOffering = !this.isOn || this._isHeldBack;
    setIcon(this._button, isOffering ? "play" : "stop");
    setText(byId("play-label"), this._isHeldBack ? RESUMED : isOffering ? "Listen" : "Stop");
  }

  _showFigures({ delayMs, lossPercent, bufferMs }) {
    setText(byId("delay"), milliseconds(delayMs));
    setText(byId("loss"), percent(lossPercent));
    setText(byId("buffer"), milliseconds(bufferMs));
  }

  _explain() {
    const { host, hostname, port, pathname } = location;
    if (window.isSecureContext) {
      this._show("failed");
      return;
    }
    this._show("failed", "Not over plain HTTP");
    byId("insecure").hidden = false;
    for (const id of ["meter", "figures", "last-minute"]) byId(id).hidden = true;
    setText(byId("insecure-host"), hostname);
    const secure = byId("insecure-https");
    secure.href = `https://${host}${pathname}`;
    setText(secure, secure.href);
    setText(byId("insecure-local"), `http://localhost:${port || 80}/`);
  }
}
