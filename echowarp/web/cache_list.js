/** The files of the server's cache: a list to play and download from. */

import { CacheError, CacheSocket } from "./cache_socket.js";
import { byId, icon, make, setIcon, setText } from "./dom.js";
import { FilePlayer, fileUrl } from "./file_player.js";
import { ago, bytes, clock } from "./words.js";

const RENEW_MS = 15_000;
/** Others upload as well. */
const SORRY = "This browser cannot play it.";

export class CacheList {
  constructor() {
    this.player = new FilePlayer();
    this.entries = [];
    this._list = byId("files");
    this._words = byId("files-words");
    this._said = byId("files-said");
    this._rows = new Map();
    this.player.addEventListener("change", () => this._showPlaying());
    this.player.addEventListener("failed", ({ detail }) => {
      this._rows.get(detail)?.row.classList.add("failed");
      setText(this._said, `${detail}: ${SORRY}`);
      this.player.unload();
    });
  }

  /** Asks the server from now on, as long as somebody looks. */
  start() {
    this.renew();
    setInterval(() => {
      if (!document.hidden) this.renew();
    }, RENEW_MS);
  }

  async renew() {
    const socket = new CacheSocket();
    try {
      this._show(await socket.list());
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      setText(this._words, `The files cannot be listed: ${error.message}.`);
    } finally {
      socket.close();
    }
  }

  _show(entries) {
    this.entries = [...entries].sort((a, b) => b.time - a.time);
    const total = entries.reduce((sum, entry) => sum + entry.size, 0);
    const count = entries.length === 1 ? "1 file" : `${entries.length} files`;
    setText(this._words, entries.length === 0 ? "Nothing is here yet." : `${count}, ${bytes(total)}`);
    // A row stays the element that it is: the focus may be in it.
    const rows = new Map();
    for (const entry of this.entries) {
      const known = this._rows.get(entry.id);
      const row = known?.sha256 === entry.sha256 ? known : this._row(entry);
      setText(row.facts, `${bytes(entry.size)} · ${ago(entry.time, Date.now())}`);
      rows.set(entry.id, row);
    }
    this._rows = rows;
    const wanted = [...rows.values()].map(({ row }) => row);
    for (const row of [...this._list.children]) if (!wanted.includes(row)) row.remove();
    wanted.forEach((row, i) => {
      if (this._list.children[i] !== row) this._list.insertBefore(row, this._list.children[i]);
    });
    if (this.player.id !== null && !rows.has(this.player.id)) this.player.unload();
  }

  _row({ id, sha256 }) {
    const play = make("button", { type: "button", className: "round" }, icon("play"));
    play.setAttribute("aria-label", `Play ${id}`);
    play.addEventListener("click", () => {
      row.classList.remove("failed");
      setText(this._said, "");
      this.player.toggle(id);
    });
    const seek = make("input", { type: "range", min: 0, max: 0, step: "any", value: 0 });
    seek.setAttribute("aria-label", `Place in ${id}`);
    seek.addEventListener("input", () => {
      this.player.position = Number(seek.value);
    });
    const time = make("span", { className: "time" });
    const seeking = make("div", { className: "seeking", hidden: true }, seek, time);
    const facts = make("p", { className: "facts" });
    const sorry = make("p", { className: "sorry" }, SORRY);
    const name = make("p", { className: "name", title: `${id}\nSHA-256 ${sha256}` }, id);
    const href = `${fileUrl(id)}?download=1`;
    const load = make("a", { href, download: id, className: "round" }, icon("down"));
    load.setAttribute("aria-label", `Download ${id}`);
    const text = make("div", { className: "text" }, name, facts, sorry, seeking);
    const row = make("li", { className: "file" }, play, text, load);
    return { sha256, row, play, facts, seek, time, seeking };
  }

  _showPlaying() {
    for (const [id, { row, play, seek, time, seeking }] of this._rows) {
      const isLoaded = this.player.id === id;
      const isPlaying = isLoaded && this.player.isPlaying;
      row.classList.toggle("loaded", isLoaded);
      setIcon(play, isPlaying ? "pause" : "play");
      play.setAttribute("aria-label", `${isPlaying ? "Pause" : "Play"} ${id}`);
      seeking.hidden = !isLoaded;
      if (!isLoaded) continue;
      const { position, duration } = this.player;
      seek.disabled = !Number.isFinite(duration);
      seek.max = Number.isFinite(duration) ? duration : 0;
      seek.value = position;
      seek.setAttribute("aria-valuetext", clock(position));
      setText(time, Number.isFinite(duration) ? `${clock(position)} / ${clock(duration)}` : "");
    }
  }
}
