/** How the server stands: asked every other second, and shown. */

import { byId, setText } from "./dom.js";
import { decibels, duration } from "./words.js";

const ASK_MS = 2000;

export class ServerStatus extends EventTarget {
  /** Tells `login` when the server wants its password first. */
  start() {
    this._ask();
    setInterval(() => {
      if (!document.hidden) this._ask();
    }, ASK_MS);
  }

  async _ask() {
    try {
      const answer = await fetch("status", { cache: "no-store" });
      if (answer.status === 401) this.dispatchEvent(new Event("login"));
      else if (answer.ok) this._answered(await answer.json());
      else this._unreachable();
    } catch {
      this._unreachable();
    }
  }

  _answered(status) {
    byId("logout").hidden = !status.password;
    this.show(status);
  }

  show(status) {
    byId("server").classList.remove("away");
    setText(byId("server-name"), status.server);
    setText(byId("server-source"), status.source ?? "None");
    setText(byId("server-level"), status.source === null ? "–" : decibels(status.levelDb));
    const inBrowsers = status.webListeners > 0 ? `, ${status.webListeners} in browsers` : "";
    setText(byId("server-listeners"), `${status.listeners}${inBrowsers}`);
    setText(byId("server-talkers"), String(status.talkers));
    setText(byId("server-uptime"), duration(status.uptimeS));
  }

  _unreachable() {
    byId("server").classList.add("away");
  }
}
