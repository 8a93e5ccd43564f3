/** Files on their way to the cache: from a button, or dropped on the page. */

import { CacheError, CacheSocket, idFor } from "./cache_socket.js";
import { byId, icon, make, setText } from "./dom.js";
import { bytes, percent } from "./words.js";

export class Uploads {
  /** @param {CacheList} cache shows what has arrived */
  constructor(cache) {
    this._cache = cache;
    this._list = byId("uploads");
    this._said = byId("uploads-said");
    this._names = new Set();
    /** Ids that uploads under way have taken. */
    this._queue = Promise.resolve();
    const input = byId("file");
    input.addEventListener("change", () => {
      this._takeAll(input.files);
      input.value = "";
    });
    byId("upload").addEventListener("click", () => input.click());
    this._listenForDrops();
  }

  _listenForDrops() {
    const zone = byId("drop");
    let depth = 0;
    const enter = (by) => {
      depth += by;
      zone.classList.toggle("wanted", depth > 0);
    };
    // The whole page takes them: a file that misses would replace the page otherwise.
    document.addEventListener("dragenter", (event) => hasFiles(event) && enter(1));
    document.addEventListener("dragleave", (event) => hasFiles(event) && enter(-1));
    document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
    document.addEventListener("drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      enter(-depth);
      this._takeAll(event.dataTransfer.files);
    });
  }

  _takeAll(files) {
    for (const file of files) {
      const row = this._row(file);
      // One after the other: together they are no faster.
      this._queue = this._queue.then(() => this._send(file, row));
    }
  }

  async _send(file, row) {
    if (row.stopping.signal.aborted) return;
    const taken = new Set([...this._names, ...this._cache.entries.map((entry) => entry.id)]);
    const id = idFor(file.name, taken, randomDigits);
    this._names.add(id);
    const socket = new CacheSocket();
    try {
      await socket.upload(file, id, (share) => row.show(share), row.stopping.signal);
      row.remove();
      this._said.textContent = `${id} is uploaded.`;
      await this._cache.renew();
    } catch (error) {
      const words = error instanceof CacheError ? error.message : "it cannot be read";
      row.fail(words);
      this._said.textContent = `${file.name} is not uploaded: ${words}.`;
    } finally {
      this._names.delete(id);
      socket.close();
    }
  }

  _row(file) {
    const stopping = new AbortController();
    const bar = make("progress", { max: 1, value: 0 });
    bar.setAttribute("aria-label", `Upload of ${file.name}`);
    const facts = make("p", { className: "facts" }, `Waiting · ${bytes(file.size)}`);
    const stop = make("button", { type: "button", className: "round" }, icon("close"));
    stop.setAttribute("aria-label", `Stop the upload of ${file.name}`);
    const name = make("p", { className: "name" }, file.name);
    const text = make("div", { className: "text" }, name, bar, facts);
    const element = make("li", { className: "file upload" }, text, stop);
    const remove = () => {
      // Who was in it goes on from where it began, and not from the top of the page.
      if (element.contains(document.activeElement)) byId("upload").focus();
      element.remove();
    };
    stop.addEventListener("click", () => {
      stopping.abort();
      remove();
    });
    this._list.append(element);
    return {
      stopping,
      remove,
      show(share) {
        bar.value = share;
        setText(facts, `${percent(Math.floor(share * 100))} % of ${bytes(file.size)}`);
      },
      fail(words) {
        bar.remove();
        element.classList.add("failed");
        stop.setAttribute("aria-label", `Put away the word about ${file.name}`);
        setText(facts, `Not uploaded: ${words}.`);
      },
    };
  }
}

function hasFiles(event) {
  return event.dataTransfer?.types.includes("Files") ?? false;
}

function randomDigits() {
  const [number] = crypto.getRandomValues(new Uint32Array(1));
  return number.toString(16).padStart(8, "0");
}
