// What the pages share: elements, messages, calls to the API.

/** el makes an element: el("a", {href: "/"}, "text", child…). Text stays text. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** say shows a message and moves the focus to it. */
export function say(kind, ...content) {
  const box = document.getElementById("message");
  box.className = `note ${kind}`;
  box.replaceChildren(...content);
  box.hidden = false;
  box.focus();
}

/** takeToken reads the token from the fragment and takes it out of the
    address, so that it stays in no history and no copied link. */
export function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  if (token) history.replaceState(null, "", location.pathname);
  return token;
}

/** post sends JSON and returns null, or the problem that was answered. */
export async function post(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(body),
      cache: "no-store",
      referrerPolicy: "no-referrer",
    });
    if (answer.ok) return null;
    const problem = await answer.json().catch(() => ({}));
    return { detail: `The service answered ${answer.status}.`, ...problem };
  } catch {
    return { detail: "The service cannot be reached. Check the connection and try again." };
  }
}

/** busy keeps a form from being sent twice while work runs. */
export async function busy(form, work) {
  const button = form.querySelector("button[type=submit]");
  button.disabled = true;
  try {
    return await work();
  } finally {
    button.disabled = false;
  }
}
