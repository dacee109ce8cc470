// Makes the first administrator with the one-time token of the link.
import { busy, el, post, say, takeToken } from "./page.js";

const form = document.getElementById("form");
const fields = { email: form.elements.email, password: form.elements.password };
const token = takeToken();

function mark(name, text) {
  fields[name].setAttribute("aria-invalid", String(text !== ""));
  document.getElementById(`${name}-error`).textContent = text;
}

/** refused shows the problem beside the fields it is about, else above. */
function refused(problem) {
  const faults = (problem.errors ?? []).filter((fault) => fault.field in fields);
  for (const { field, message } of faults) mark(field, message);
  if (faults.length > 0) fields[faults[0].field].focus();
  else say("bad", problem.detail ?? problem.title);
}

async function submit() {
  for (const name of Object.keys(fields)) mark(name, "");
  document.getElementById("message").hidden = true;
  const missing = Object.keys(fields).filter((name) => fields[name].value === "");
  for (const name of missing) mark(name, "This is needed.");
  if (missing.length > 0) {
    fields[missing[0]].focus();
    return;
  }
  const problem = await post("/auth/setup", { token, email: fields.email.value.trim(), password: fields.password.value });
  if (problem) {
    refused(problem);
    return;
  }
  form.remove();
  say("good", "The administrator is made. You can sign in now: ", el("a", { href: "/docs" }, "see the API reference"), ".");
}

document.getElementById("reveal").addEventListener("change", (event) => {
  fields.password.type = event.target.checked ? "text" : "password";
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(form, submit);
});

if (token) {
  form.hidden = false;
  fields.email.focus();
} else {
  say("bad", "The set-up token is missing. Open the whole link that Gatehouse printed when it started.");
}
