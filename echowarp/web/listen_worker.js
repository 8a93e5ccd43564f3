/**
 * The connection to /listen, on a thread of its own: a page that draws never holds up sound.
 *
 * Sound goes straight on to the AudioWorklet, everything else to the page.
 */

import { ClockExchange } from "./clock_exchange.js";

const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 8000;
const SILENT_MS = 4000;
/** The server says something every second: after so long there is no connection any more. */
const WATCH_MS = 500;

let sound = null;
/** The AudioWorklet's end. */
let connection = null;
let failures = 0;
let retry = 0;

self.onmessage = ({ data }) => {
  if (data.type === "start") {
    sound = data.sound;
    connect();
  } else if (data.type === "report") {
    connection?.send(data);
  }
};

self.addEventListener("online", () => {
  if (connection === null) connect();
});

function connect() {
  clearTimeout(retry);
  self.postMessage({ type: "state", state: failures === 0 ? "connecting" : "retrying" });
  connection = new Connection(self.performance);
}

/** A connection has ended, or none came about; `last` is what the server said before. */
async function lost(wasJoined, last) {
  connection = null;
  failures = wasJoined ? 1 : failures + 1;
  // Without a goodbye it is the network: what it does not bring counts as lost.
  if (last !== null) sound.postMessage({ type: "end" });
  if (!wasJoined && (await isLoginWanted())) {
    self.postMessage({ type: "state", state: "login" });
    return;
  }
  const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1));
  self.postMessage({ type: "state", state: "lost", reason: last?.type, message: last?.message });
  // Listeners that lost one server together do not all come back at one moment.
  retry = setTimeout(connect, pauseMs * (0.75 + Math.random() / 2));
}

/** A WebSocket does not tell why it was refused; the same door answers a question about it. */
async function isLoginWanted() {
  try {
    const answer = await fetch("status", { cache: "no-store" });
    return answer.status === 401;
  } catch {
    return false;
  }
}

class Connection {
  constructor(clock) {
    this._clock = clock;
    this._exchange = new ClockExchange();
    this._stream = null;
    this._last = null;
    this._wasJoined = false;
    this._heardMs = clock.now();
    this._socket = new WebSocket(listenUrl());
    this._socket.binaryType = "arraybuffer";
    this._socket.onopen = () => this._opened();
    this._socket.onmessage = ({ data }) => this._received(data);
    this._socket.onclose = () => this._end();
    this._watch = setInterval(() => this._look(), WATCH_MS);
  }

  send(message) {
    if (this._socket.readyState === WebSocket.OPEN) this._socket.send(JSON.stringify(message));
  }

  _opened() {
    this._wasJoined = true;
    this._heardMs = this._clock.now();
    self.postMessage({ type: "state", state: "joined" });
    this._ask();
  }

  _ask() {
    this.send(this._exchange.ask(this._clock.now()));
    this._asking = setTimeout(() => this._ask(), this._exchange.intervalMs);
  }

  _received(data) {
    this._heardMs = this._clock.now();
    if (typeof data !== "string") {
      this._sound(data);
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "clock") {
      this._exchange.answered(message, this._heardMs);
      // The page has an origin of time of its own.
      const offsetMs = this._exchange.offsetMs - this._clock.timeOrigin;
      self.postMessage({ type: "clock", offsetMs });
      return;
    }
    if (message.type === "stream") {
      this._stream = message.stream;
      sound.postMessage(message);
    } else if (message.type === "end" && message.stream === this._stream) {
      this._stream = null;
      sound.postMessage({ type: "end" });
    } else if (message.type === "full" || message.type === "goodbye") {
      this._last = message;
    }
    self.postMessage(message);
  }

  _sound(block) {
    if (new DataView(block).getUint32(0) === this._stream) sound.postMessage(block, [block]);
  }

  _look() {
    if (this._clock.now() - this._heardMs > SILENT_MS) this._end();
  }

  _end() {
    clearInterval(this._watch);
    clearTimeout(this._asking);
    // A network that is gone answers no closing handshake either: nobody waits for it.
    this._socket.onopen = this._socket.onmessage = this._socket.onclose = null;
    this._socket.close();
    lost(this._wasJoined, this._last);
  }
}

function listenUrl() {
  const url = new URL("listen", self.location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}
