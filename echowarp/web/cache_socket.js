/**
 * The file cache's protocol from a browser: one WebSocket to /audio, questions one by one.
 */

const CHUNK_BYTES = 8192;
const SLICE_BYTES = 1 << 20;
/** Read from the disk at once. */
const AHEAD_BYTES = 1 << 20;
/** Handed to the browser before the network has taken it. */
const LOOK_MS = 20;

export class CacheError extends Error {}

export class CacheSocket {
  constructor() {
    const url = new URL("audio", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    this._socket = new WebSocket(url);
    this._waiting = null;
    this._failure = null;
    this._opened = new Promise((resolve) => {
      this._socket.onopen = resolve;
    });
    this._closed = new Promise((_, reject) => {
      this._socket.onclose = () => reject(new CacheError("the connection was lost"));
    });
    // Whoever waits hears of it; when nobody does it is no news.
    this._closed.catch(() => {});
    this._socket.onmessage = ({ data }) => this._received(JSON.parse(data));
  }

  /** What the server has: id, size, sha256, time of each. Throws CacheError. */
  async list() {
    return (await this._ask({ type: "list" })).streams;
  }

  /**
   * Sends a file. Throws CacheError, also when `signal` says stop: then nothing is kept.
   * @param {(share: number) => void} onProgress told from 0 to 1
   */
  async upload(file, streamId, onProgress, signal) {
    await this._ask({ type: "start", streamId });
    for (let at = 0; at < file.size; at += SLICE_BYTES) {
      const slice = await file.slice(at, at + SLICE_BYTES).arrayBuffer();
      for (let from = 0; from < slice.byteLength; from += CHUNK_BYTES) {
        this._socket.send(slice.slice(from, from + CHUNK_BYTES));
      }
      do {
        this._checkOn(signal);
        onProgress((at + slice.byteLength - this._socket.bufferedAmount) / file.size);
        if (this._socket.bufferedAmount > AHEAD_BYTES) await pause();
      } while (this._socket.bufferedAmount > AHEAD_BYTES);
    }
    await this._ask({ type: "stop", streamId });
    onProgress(1);
  }

  close() {
    this._socket.close();
  }

  _checkOn(signal) {
    if (signal.aborted) throw new CacheError("stopped");
    if (this._socket.readyState !== WebSocket.OPEN) throw new CacheError("the connection was lost");
    if (this._failure !== null) throw new CacheError(this._failure);
  }

  async _ask(question) {
    await Promise.race([this._opened, this._closed]);
    const answer = new Promise((resolve) => {
      this._waiting = resolve;
    });
    this._socket.send(JSON.stringify(question));
    const message = await Promise.race([answer, this._closed]);
    if (message.type === "error") throw new CacheError(this._failure ?? message.message);
    return message;
  }

  _received(message) {
    // An error that nobody has asked for is about the chunks: the disk is full, say.
    if (this._waiting === null) this._failure ??= message.message;
    this._waiting?.(message);
    this._waiting = null;
  }
}

function pause() {
  return new Promise((resolve) => {
    setTimeout(resolve, LOOK_MS);
  });
}

/** An id made from a file's name: what may not be in one is left out. */
export function idFor(fileName, taken, random) {
  const name = fileName.replace(/^\.+/, "");
  const dot = name.lastIndexOf(".");
  const stem = plain(dot > 0 ? name.slice(0, dot) : name).slice(0, 100);
  const ending = dot > 0 ? plain(name.slice(dot + 1)).slice(0, 12) : "";
  const words = stem === "" ? `stream-${random()}` : stem;
  for (let count = 1; ; count += 1) {
    const number = count === 1 ? "" : `-${count}`;
    const id = `${words}${number}${ending && `.${ending}`}`;
    if (!taken.has(id)) return id;
  }
}

/** Without accents, and without what an id may not hold or begin with. */
function plain(text) {
  return text
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .replace(/[^A-Za-z0-9._-]+/g, "-")
    .replace(/^[.-]+|[.-]+$/g, "");
}
