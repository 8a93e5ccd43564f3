/** The password form, in place of the page until it is right. */

import { byId } from "./dom.js";

const WORDS = {
  401: "This is not the password.",
  403: "This address is not let in: too many wrong passwords came from it, or it is banned.",
  429: "Too many tries at once. Wait a moment, then try again.",
};

export class Login {
  /** @param {() => void} onDone called when the server has let us in */
  constructor(onDone) {
    this._onDone = onDone;
    this._field = byId("password");
    this._error = byId("login-error");
    byId("login-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this._send();
    });
    byId("logout").addEventListener("click", () => this._leave());
  }

  show() {
    if (!byId("login").hidden) return;
    byId("login").hidden = false;
    byId("main").hidden = true;
    byId("logout").hidden = true;
    this._field.focus();
  }

  async _send() {
    const button = byId("login-button");
    button.disabled = true;
    this._error.textContent = "";
    try {
      const body = new URLSearchParams({ password: this._field.value });
      const answer = await fetch("login", { method: "POST", body });
      if (answer.ok) this._enter();
      else this._refused(WORDS[answer.status] ?? `The server refuses (${answer.status}).`);
    } catch {
      this._refused("The server does not answer.");
    } finally {
      button.disabled = false;
    }
  }

  _enter() {
    this._field.value = "";
    byId("login").hidden = true;
    byId("main").hidden = false;
    byId("logout").hidden = false;
    this._onDone();
    byId("play").focus();
  }

  _refused(words) {
    this._error.textContent = words;
    this._field.select();
  }

  async _leave() {
    await fetch("logout", { method: "POST" });
    location.reload();
  }
}
