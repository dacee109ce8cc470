// Confirms an address when its owner presses the button, never by itself: mail
// scanners open links.
import { busy, post, say, takeToken } from "./page.js";

const form = document.getElementById("form");
const token = takeToken();

async function submit() {
  const problem = await post("/auth/verify-email", { token });
  if (problem) {
    say("bad", problem.code === "invalid_link"
      ? "This link is wrong, used or out of date. Ask for a new one where you registered."
      : problem.detail ?? problem.title);
    return;
  }
  form.remove();
  say("good", "Thank you, your address is confirmed. You can sign in now.");
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(form, submit);
});

if (token) form.hidden = false;
else say("bad", "The token is missing. Open the whole link from the message.");
