/** The log-in page: says why the last try failed. The form works without it. */

import { byId, setText } from "./dom.js";

const WORDS = {
  wrong: "This is not the password.",
  banned: "Too many wrong passwords came from this address: it is not let in any more.",
  busy: "Others are trying from this address. Wait a moment, then try again.",
};

const failed = new URLSearchParams(location.search).get("failed");
if (failed !== null) setText(byId("error"), WORDS[failed] ?? "The server did not let you in.");

byId("form").addEventListener("submit", () => {
  // A wrong password is answered after a while: a second press would count as a second try.
  byId("enter").disabled = true;
  setText(byId("error"), "");
});

// Whoever comes back by the browser's history finds the form as it was sent.
addEventListener("pageshow", () => {
  byId("enter").disabled = false;
});
